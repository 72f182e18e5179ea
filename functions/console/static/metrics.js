// Delivery over time, by campaign or provider.
import { ask, paths } from "./api.js";
import { Chart, MOST_LINES } from "./chart.js";
import { findMidnight, listDays, RANGES } from "./days.js";
import { html, useMemo } from "./dom.js";
import { Heading, Loading, Nothing, Select, Share, Trouble, useLoaded } from "./parts.js";
import { narrow } from "./place.js";
import { count, nameProvider, percent, ZONE } from "./words.js";

const GROUPS = [["campaign", "campaign"], ["provider", "provider"]];
const FILTERS = { campaign: "campaign_ids", provider: "providers" };
const COLUMNS = [
  ["accepted", "Accepted"], ["delivered", "Delivered"], ["bounced", "Bounced"],
  ["bounce_rate_of_accepted", "Bounces of accepted", percent],
  ["complained", "Complaints"], ["complaint_rate_of_delivered", "Complaints of delivered", (rate) => percent(rate, 3)],
  ["open_rate_of_delivered", "Opened of delivered", percent],
];
const MOST_ROWS = 10_000;
const SEPARATOR = "\u001f";
const MOST_GROUPS = 100;
const WHOLE = Array.from({ length: 30 }, (_, number) => [1, 2, 5][number % 3] * 10 ** Math.floor(number / 3));

const showCount = (number) => (number == null ? "–" : count(number));

// Where all groups are drawn no filter is needed; else the drawn ones are asked for, which what has no name can't be.
function choose(groups, by) {
  const all = groups.results.map((row) => row[by]);
  if (groups.total_count <= MOST_LINES) return { names: all, filter: {} };
  const names = all.filter((name) => name != null).slice(0, MOST_LINES);
  return { names, filter: { [FILTERS[by]]: names.join(SEPARATOR), delimiter: SEPARATOR } };
}

async function load(by, days, signal) {
  const range = { from: findMidnight(days - 1), timezone: ZONE };
  const groups = await ask(paths.metrics, { ...range, group_by: by, order: "-accepted", limit: MOST_GROUPS }, signal);
  const { names, filter } = choose(groups, by);
  const daily = await ask(
    paths.metrics,
    { ...range, group_by: `day,${by}`, order: "day", limit: MOST_ROWS, ...filter },
    signal,
  );
  return { groups, names, daily: daily.results };
}

export function Metrics({ parameters }) {
  const { by = "campaign", days = "30" } = parameters;
  const { found, failure, again } = useLoaded((signal) => load(by, Number(days), signal), `${by} ${days}`);
  const name = (value) => (value == null ? "none" : by === "provider" ? nameProvider(value) : value);
  const charts = useMemo(() => found && buildLines(found, by, name, Number(days)), [found]);
  return html`<div class="title"><${Heading} title="Delivery" /><span><${Share} /></span></div>
    <div class="filters" role="group" aria-label="Choose what is shown">
      <${Select} label="By" value=${by} options=${GROUPS} onChange=${(one) => narrow({ by: one })} />
      <${Select} label="In" value=${days} options=${RANGES} onChange=${(one) => narrow({ days: one })} />
    </div>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />`
      : !found ? html`<${Loading} what="figures" />`
      : !found.groups.results.length ? html`<${Nothing} title="No mail in these days.">
          <p>Choose a longer time, or look at <a href="#/arrivals">what arrived</a>.</p></${Nothing}>`
      : html`
        <div class="charts">
          <${Chart} title="Accepted mails" note="Taken by the provider for sending, each day." days=${charts.days} lines=${charts.accepted} show=${showCount} steps=${WHOLE} />
          <${Chart} title="Bounce rate" note="Bounces of each day, of the mails accepted on it." days=${charts.days} lines=${charts.bounces} show=${(rate, isShort) => percent(rate, isShort ? 1 : 2)} />
          <${Chart} title="Complaint rate" note="Complaints of each day, of the mails delivered on it." days=${charts.days} lines=${charts.complaints} show=${(rate, isShort) => percent(rate, isShort ? 2 : 3)} />
        </div>
        <section aria-labelledby="all"><h2 id="all">All days together</h2>
          <div class="scroll" tabIndex="0" role="region" aria-label="Figures of all days"><table>
            <thead><tr><th scope="col">${by === "provider" ? "Provider" : "Campaign"}</th>
              ${COLUMNS.map(([key, title]) => html`<th key=${key} scope="col" class="number">${title}</th>`)}</tr></thead>
            <tbody>
              ${found.groups.results.map((row) => html`<${Row} key=${row[by]} title=${name(row[by])} row=${row} />`)}
              <${Row} title="All" row=${found.groups.total} />
            </tbody>
          </table></div>
          <p class="hint">Days are those of ${ZONE}.${found.groups.total_count > found.groups.results.length
            && ` ${count(found.groups.total_count)} in all, of which those with the most mails are shown.`}
            ${found.groups.total_count > found.names.length
              && ` The ${found.names.length} with the most mails ${by === "campaign" ? "and a name " : ""}are drawn.`}</p>
        </section>`}`;
}

function Row({ title, row }) {
  return html`<tr><th scope="row">${title}</th>
    ${COLUMNS.map(([key, , show = showCount]) => html`<td key=${key} class="number">${show(row[key])}</td>`)}</tr>`;
}

function buildLines({ names, daily }, by, name, number) {
  const days = listDays(number);
  const rows = new Map(daily.map((row) => [JSON.stringify([row.day, row[by]]), row]));
  const line = (key, missing) => names.map((each) => ({
    name: name(each),
    values: days.map((day) => rows.get(JSON.stringify([day, each]))?.[key] ?? missing),
  }));
  return {
    days,
    accepted: line("accepted", 0),
    bounces: line("bounce_rate_of_accepted", null),
    complaints: line("complaint_rate_of_delivered", null),
  };
}
