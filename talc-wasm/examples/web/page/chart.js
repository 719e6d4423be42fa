// A chart of lines over time.

const MARGIN = { left: 30, right: 6, top: 8, bottom: 6 };

// Draws a line for each series of values; `most` is how many values there will be.
export function chart(canvas, series, most) {
    const ratio = window.devicePixelRatio;
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const style = getComputedStyle(document.documentElement);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);

    const highest = Math.max(10, ...series.flatMap(({ values }) => values));
    const step = [5, 10, 20, 50, 100, 200, 500, 1000].find((step) => highest / step <= 5) ?? 5000;
    const top = Math.ceil(highest / step) * step;
    const across = width - MARGIN.left - MARGIN.right;
    const upwards = height - MARGIN.top - MARGIN.bottom;
    const x = (index) => MARGIN.left + (across * index) / (most - 1);
    const y = (value) => height - MARGIN.bottom - (upwards * value) / top;

    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (let value = 0; value <= top; value += step) {
        context.fillStyle = style.getPropertyValue("--soft");
        context.fillText(value, MARGIN.left - 6, y(value));
        context.strokeStyle = style.getPropertyValue("--line");
        context.beginPath();
        context.moveTo(MARGIN.left, y(value));
        context.lineTo(width - MARGIN.right, y(value));
        context.stroke();
    }
    context.lineWidth = 2;
    context.lineJoin = "round";
    for (const { colour, values } of series) {
        context.strokeStyle = style.getPropertyValue(colour);
        context.beginPath();
        values.forEach((value, index) => context.lineTo(x(index), y(value)));
        context.stroke();
    }
}
