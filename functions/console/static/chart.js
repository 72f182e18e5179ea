// Lines over days, drawn by uPlot, with the same figures in a table beside it.
import { html, useEffect, useRef } from "./dom.js";
import { showDay } from "./words.js";
import uPlot from "./vendor/uplot.js";

const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4]];
const HEIGHT = 220;
export const MOST_LINES = DASHES.length;

const readColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const toTime = (day) => new Date(`${day}T00:00:00`).valueOf() / 1000;

function draw(place, days, lines, show, steps) {
  const axis = { stroke: readColour("--faint"), grid: { stroke: readColour("--line"), width: 1 }, ticks: { show: false } };
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: (_, least, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [
      { ...axis, values: (_, times) => times.map((time) => showDay(new Date(time * 1000)).slice(0, -5)), space: 70, size: 36, gap: 10 },
      { ...axis, values: (_, values) => values.map((value) => show(value, true)), size: 64, incrs: steps },
    ],
    series: [{}, ...lines.map((line, number) => ({
      label: line.name,
      stroke: readColour(`--line-${number + 1}`),
      width: 2,
      dash: DASHES[number],
      points: { show: days.length < 40, size: 5 },
      spanGaps: true,
    }))],
  };
  return new uPlot(options, [days.map(toTime), ...lines.map((line) => line.values)], place);
}

// `show(value, isShort)` writes a value; `steps` are those that the axis may go in, any without them.
export function Chart({ title, note, days, lines, show, steps }) {
  const place = useRef(null);
  useEffect(() => {
    if (!days.length) return undefined;
    const element = place.current;
    let chart = draw(element, days, lines, show, steps);
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => {
      chart.destroy();
      chart = draw(element, days, lines, show, steps);
    };
    resize.observe(element);
    dark.addEventListener("change", redraw);
    return () => {
      resize.disconnect();
      dark.removeEventListener("change", redraw);
      chart.destroy();
    };
  }, [days, lines]);
  const id = title.replaceAll(" ", "-").toLowerCase();
  return html`<figure class="chart" aria-labelledby=${id}>
    <figcaption><h2 id=${id}>${title}</h2><p class="hint">${note}</p></figcaption>
    <div ref=${place} role="img" aria-label=${`${title}, as lines over ${days.length} days; the figures are in the table below`}></div>
    <ul class="legend" aria-hidden="true">${lines.map((line, number) => html`<li key=${line.name}>
      <svg width="26" height="8"><line x1="0" y1="4" x2="26" y2="4" stroke-width="2" class=${`stroke-${number + 1}`}
        stroke-dasharray=${DASHES[number].join(" ") || undefined} /></svg>${line.name}</li>`)}</ul>
    <details><summary>${title}: the figures</summary>
      <div class="scroll" tabIndex="0" role="region" aria-label=${`${title}, figures`}><table>
        <thead><tr><th scope="col">Day</th>${lines.map((line) => html`<th key=${line.name} scope="col" class="number">${line.name}</th>`)}</tr></thead>
        <tbody>${days.map((day, number) => html`<tr key=${day}><th scope="row">${showDay(new Date(`${day}T00:00:00`))}</th>
          ${lines.map((line) => html`<td key=${line.name} class="number">${show(line.values[number])}</td>`)}</tr>`)}</tbody>
      </table></div>
    </details>
  </figure>`;
}
