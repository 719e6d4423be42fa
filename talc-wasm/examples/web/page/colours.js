// The colours of parts of a heap, which `style.css` has, and the legend that explains them.

const SLABS = [
    { upTo: 32, colour: "--slab-16", name: "16–32 bytes" },
    { upTo: 64, colour: "--slab-48", name: "48–64 bytes" },
    { upTo: 96, colour: "--slab-80", name: "80–96 bytes" },
    { upTo: Infinity, colour: "--slab-112", name: "≥ 112 bytes" },
];

const CHUNKS = [
    { upTo: 256, colour: "--chunk-256", name: "≤ 256 bytes" },
    { upTo: 1024, colour: "--chunk-1024", name: "≤ 1 KiB" },
    { upTo: 4096, colour: "--chunk-4096", name: "≤ 4 KiB" },
    { upTo: 16384, colour: "--chunk-16384", name: "≤ 16 KiB" },
    { upTo: Infinity, colour: "--chunk-large", name: "larger" },
];

const OTHERS = [
    { colour: "--gap", name: "gap" },
    { colour: "--table", name: "the allocator’s own table" },
];

// The property that has a colour, as [red, green, blue].
function channels(property) {
    const text = getComputedStyle(document.documentElement).getPropertyValue(property).trim();
    return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

const of = (scale, size) => channels(scale.find(({ upTo }) => size <= upTo).colour);

// The colours of the present theme.
export function palette() {
    const memory = new Map();
    const remember = (key, find) => {
        if (!memory.has(key)) memory.set(key, find());
        return memory.get(key);
    };
    return {
        slab: (size) => remember(`slab ${size}`, () => of(SLABS, size)),
        slot: channels("--slot"),
        chunk: (size) => {
            const { colour } = CHUNKS.find(({ upTo }) => size <= upTo);
            return remember(colour, () => channels(colour));
        },
        gap: channels("--gap"),
        table: channels("--table"),
        outside: channels("--card"),
    };
}

// Fills an element with swatches.
export function explain(element) {
    const row = (title, entries) => {
        const line = document.createElement("div");
        const heading = document.createElement("b");
        heading.textContent = title;
        line.append(heading);
        for (const { colour, name } of entries) {
            const swatch = document.createElement("span");
            swatch.style.setProperty("--swatch", `var(${colour})`);
            swatch.textContent = name;
            line.append(swatch);
        }
        element.append(line);
    };
    row("Slabs", [...SLABS, { colour: "--slot", name: "free slots" }]);
    row("Chunks", CHUNKS);
    row("Other", OTHERS);
}
