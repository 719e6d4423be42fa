// Runs both modules a few steps at a time, in turn, and shows what came of it.
import { chart } from "./chart.js";
import { explain } from "./colours.js";
import { draw, parts, summary } from "./heap.js";

const STEPS = 12000;
// Steps between two pictures: a few milliseconds of work for each module.
const SLICE = 30;
const PAGE = 65536;

const NAMES = ["talc", "dlmalloc"];
const show = (id, text) => (document.getElementById(id).textContent = text);
const root = document.documentElement;

const compile = async (name) => [name, await WebAssembly.compileStreaming(fetch(`${name}.wasm`))];
const compiled = Object.fromEntries(await Promise.all(NAMES.map(compile)));

let wikis;
let steps;
let paused;

function begin() {
    wikis = NAMES.map((name) => {
        const { exports } = new WebAssembly.Instance(compiled[name]);
        const before = exports.memory.buffer.byteLength / PAGE;
        return { name, exports, before, time: 0, result: 0, pages: [] };
    });
    steps = 0;
    pause(false);
    root.dataset.state = "working";
}

// The pages that a module's heap has taken.
const pages = ({ exports, before }) => exports.memory.buffer.byteLength / PAGE - before;

function work() {
    // Whoever comes second finds a warm cache, so they take turns at it.
    const order = (steps / SLICE) % 2 === 0 ? wikis : [...wikis].reverse();
    for (const wiki of order) {
        const start = performance.now();
        wiki.result = wiki.exports.work(SLICE);
        wiki.time += performance.now() - start;
        wiki.pages.push(pages(wiki));
    }
    steps += SLICE;
}

const count = new Intl.NumberFormat("en");
const mebibytes = (bytes) => `${(bytes / (1 << 20)).toFixed(1)} MiB`;

function picture() {
    const [talc, dlmalloc] = wikis;
    const found = parts(talc.exports);
    const { dot, block } = draw(document.getElementById("map"), found);
    const { slabs, chunks, gaps, used, size } = summary(found);
    show("scale", `a dot is ${dot} bytes, a block of 8 × 4 dots ${block / 1024} KiB`);
    show("heap-size", mebibytes(size));
    show("slabs", count.format(slabs));
    show("chunks", count.format(chunks));
    show("gaps", count.format(gaps));
    show("used", mebibytes(used));

    document.getElementById("progress").value = steps / STEPS;
    show("steps", count.format(steps));
    show("documents", count.format(talc.exports.documents()));
    show("agreement", talc.result === dlmalloc.result ? "yes" : "no");
    for (const { name, time, pages } of wikis) {
        show(`${name}-pages`, pages[pages.length - 1]);
        show(`${name}-time`, ((time * 1000) / steps).toFixed(1));
        show(`${name}-speed`, count.format(Math.round((steps * 1000) / time)));
    }
    const series = wikis.map(({ name, pages }) => ({ colour: `--${name}`, values: pages }));
    chart(document.getElementById("memory"), series, STEPS / SLICE);
}

function frame() {
    if (!paused && steps < STEPS) {
        work();
        picture();
        if (steps >= STEPS) {
            root.dataset.state = "done";
            show("state", "done");
            document.getElementById("pause").disabled = true;
        }
    }
    requestAnimationFrame(frame);
}

function pause(yes) {
    paused = yes;
    const button = document.getElementById("pause");
    button.disabled = false;
    button.textContent = yes ? "Continue" : "Pause";
    show("state", yes ? "paused" : "working");
}

function theme(dark) {
    root.classList.toggle("dark", dark);
    if (steps > 0) picture();
}

explain(document.getElementById("legend"));
document.getElementById("pause").addEventListener("click", () => pause(!paused));
document.getElementById("again").addEventListener("click", begin);
document.getElementById("theme").addEventListener("click", () => {
    theme(!root.classList.contains("dark"));
});
window.addEventListener("resize", () => steps > 0 && picture());
const preference = matchMedia("(prefers-color-scheme: dark)");
preference.addEventListener("change", () => theme(preference.matches));

begin();
theme(preference.matches);
requestAnimationFrame(frame);
