// The page in headless Chromium: it works to its end, says the same as its canvas, and looks right
// in both themes. With SCREENSHOT=FILE it also keeps a picture.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const FOLDER = fileURLToPath(new URL("../page", import.meta.url));
const TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
};

let server;
let browser;
let page;
const complaints = [];

before(async () => {
    server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, "http://localhost");
        const path = pathname === "/" ? "/index.html" : pathname;
        try {
            const body = await readFile(join(FOLDER, path));
            response.writeHead(200, { "Content-Type": TYPES[extname(path)] }).end(body);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: [
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            // Chromium does not start as root with its sandbox.
            ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
        ],
    });
    page = await browser.newPage({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
    page.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
});

after(async () => {
    await browser?.close();
    server?.close();
});

const number = async (id) => Number((await page.textContent(`#${id}`)).replaceAll(",", ""));

// How many dots of the map have exactly the colour that the style sheet calls by each name.
const dots = (names) =>
    page.evaluate((names) => {
        const style = getComputedStyle(document.documentElement);
        const canvas = document.getElementById("map");
        const { data } = canvas
            .getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
        const hex = (at) => data[at].toString(16).padStart(2, "0");
        const counts = new Map();
        for (let at = 0; at < data.length; at += 4) {
            const colour = `#${hex(at)}${hex(at + 1)}${hex(at + 2)}`;
            counts.set(colour, (counts.get(colour) ?? 0) + 1);
        }
        return names.map((name) => counts.get(style.getPropertyValue(name).trim()) ?? 0);
    }, names);

const KINDS = {
    slab: ["--slab-16", "--slab-48", "--slab-80", "--slab-112"],
    chunk: ["--chunk-256", "--chunk-1024", "--chunk-4096", "--chunk-16384", "--chunk-large"],
    gap: ["--gap"],
};

async function assertMapped() {
    for (const [kind, names] of Object.entries(KINDS)) {
        const found = (await dots(names)).reduce((sum, count) => sum + count);
        assert.ok(found > 20, `only ${found} dots of the map are a ${kind}`);
    }
}

test("the work is done, by both allocators alike", async () => {
    await page.waitForSelector(":root[data-state=done]", { timeout: 180_000 });
    assert.equal(await page.textContent("#agreement"), "yes");
    assert.equal(await page.textContent("#state"), "done");
    assert.equal(await page.getAttribute("#progress", "max"), "1");
    assert.equal(await page.evaluate(() => document.getElementById("progress").value), 1);
});

test("numbers are shown for both", async () => {
    for (const name of ["talc", "dlmalloc"]) {
        const [pages, time] = [await number(`${name}-pages`), await number(`${name}-time`)];
        // Several hundred documents of some kilobytes.
        assert.ok(pages > 10 && pages < 1000, `${name} has ${pages} pages`);
        assert.ok(time > 0 && time < 10_000, `${name} takes ${time} µs`);
        assert.ok((await number(`${name}-speed`)) > 0);
    }
});

test("slabs, chunks and gaps are on the map, and counted", async () => {
    await assertMapped();
    for (const id of ["slabs", "chunks", "gaps", "documents"]) {
        assert.ok((await number(id)) > 0, `no ${id}`);
    }
});

test("a picture, which is kept if wanted", async () => {
    const picture = await page.screenshot({ path: process.env.SCREENSHOT });
    assert.ok(picture.length > 20_000, "the picture is nearly empty");
});

test("the dark theme has a map too", async () => {
    await page.click("#theme");
    assert.ok(await page.evaluate(() => document.documentElement.classList.contains("dark")));
    await assertMapped();
    if (process.env.SCREENSHOT_DARK) await page.screenshot({ path: process.env.SCREENSHOT_DARK });
});

test("it runs again, and pauses", async () => {
    await page.click("#again");
    await page.waitForSelector(":root[data-state=working]");
    // More than a few steps: the number has a comma.
    await page.waitForFunction(() => document.getElementById("steps").textContent.includes(","));
    await page.click("#pause");
    const steps = await number("steps");
    await page.waitForTimeout(300);
    assert.equal(await number("steps"), steps);
});

test("the page has fallen into no error", () => {
    assert.deepEqual(complaints, []);
});
