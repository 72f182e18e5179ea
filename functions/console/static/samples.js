// Prometheus's series that are no customer's: what was measured beside the calls.
import { ask, paths } from "./api.js";
import { Chart, MOST_LINES } from "./chart.js";
import { listDays } from "./days.js";
import { html, useMemo } from "./dom.js";
import { Loading, Select, Trouble, useLoaded } from "./parts.js";
import { narrow } from "./place.js";
import { count } from "./words.js";

const MOST_SERIES = 100;

const showNumber = (number) => (number == null ? "–" : number.toLocaleString("en-GB", { maximumSignificantDigits: 4 }));
const isCounter = (name) => /_(total|count|sum|bucket)$/.test(name);

function showLabels(series) {
  const labels = Object.entries(series.labels).map(([name, value]) => `${name}=${value}`);
  return labels.join(", ") || series.name;
}

export function Samples({ range, days, chosen }) {
  const load = async (signal) => {
    const asked = { ...range, of: "nobody", limit: MOST_SERIES };
    return { all: await ask(paths.samples, asked, signal), daily: await ask(paths.samples, { ...asked, group_by: "day" }, signal) };
  };
  const { found, failure, again } = useLoaded(load, String(days));
  const names = found ? [...new Set(found.all.results.map((series) => series.name))] : [];
  const name = names.includes(chosen) ? chosen : names[0];
  const chart = useMemo(() => found && name && buildLines(found.daily.results, name, days), [found, name]);
  if (found && !name) return null;
  return html`<section aria-labelledby="samples"><h2 id="samples">Measured beside it</h2>
    <p class="hint">Prometheus's series that no label gives to a customer.</p>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />` : !found ? html`<${Loading} what="series" />`
      : html`<div class="filters"><${Select} label="Metric" value=${name} options=${names.map((each) => [each, each])}
            onChange=${(metric) => narrow({ metric })} /></div>
        <div class="charts"><${Chart} title=${name} note=${isCounter(name) ? "How much it grew each day." : "The average of each day."}
          days=${chart.days} lines=${chart.lines} show=${showNumber} /></div>
        <${Table} series=${found.all.results.filter((each) => each.name === name)} name=${name} />
        ${found.all.total_count > found.all.results.length && html`<p class="hint">${count(found.all.total_count)} series in all, of which the first are shown.</p>`}`}
  </section>`;
}

function buildLines(results, name, number) {
  const days = listDays(number);
  const key = isCounter(name) ? "increase" : "average";
  const lines = results.filter((series) => series.name === name).slice(0, MOST_LINES).map((series) => {
    const points = new Map(series.points.map((point) => [point.day, point]));
    return { name: showLabels(series), values: days.map((day) => points.get(day)?.[key] ?? null) };
  });
  return { days, lines };
}

function Table({ series, name }) {
  const columns = [["last", "Last"], ["minimum", "Least"], ["average", "Average"], ["maximum", "Greatest"]];
  const shown = isCounter(name) ? [...columns, ["increase", "Growth"]] : columns;
  return html`<div class="scroll" tabIndex="0" role="region" aria-label="Series, figures"><table>
    <thead><tr><th scope="col">Series</th>${shown.map(([key, title]) => html`<th key=${key} scope="col" class="number">${title}</th>`)}</tr></thead>
    <tbody>${series.map((each) => html`<tr key=${showLabels(each)}><th scope="row">${showLabels(each)}</th>
      ${shown.map(([key]) => html`<td key=${key} class="number">${showNumber(each.points[0][key])}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
