// The numbers of an API product: calls over time, who makes them, who stays.
import { ask, paths } from "./api.js";
import { Chart } from "./chart.js";
import { findMidnight, listDays, RANGES } from "./days.js";
import { html, useMemo } from "./dom.js";
import { Facts, Heading, Loading, Nothing, Select, Share, Trouble, useLoaded } from "./parts.js";
import { link, narrow } from "./place.js";
import { Samples } from "./samples.js";
import { count, percent, showDay, ZONE } from "./words.js";

const MOST_ROWS = 20;
const WHOLE = Array.from({ length: 30 }, (_, number) => [1, 2, 5][number % 3] * 10 ** Math.floor(number / 3));

const showCount = (number) => (number == null ? "–" : count(number));
const showTime = (milliseconds) => (milliseconds == null ? "–" : `${count(milliseconds)} ms`);
const showGrowth = (rate) => (rate > 0 ? `+${percent(rate, 0)}` : percent(rate, 0));
const showRate = (rate, isShort) => percent(rate, isShort ? 1 : 2);

const COLUMNS = [
  ["calls", "Calls", showCount], ["growth_of_calls_before", "Growth", showGrowth], ["errors", "Errors", showCount],
  ["error_rate_of_calls", "Error rate", showRate], ["milliseconds_p50", "p50", showTime], ["milliseconds_p99", "p99", showTime],
];
const GROUPS = [
  ["company", "Top companies", "Company"], ["user", "Top users", "User"], ["route", "Routes", "Route"], ["client", "Clients", "Client"],
];

export function Usage({ parameters }) {
  const { days = "30", company = "" } = parameters;
  const range = { from: findMidnight(Number(days) - 1), timezone: ZONE };
  const asked = { ...range, companies: company };
  const own = { asked, days: Number(days), of: `${days} ${company}` };
  return html`<div class="title"><${Heading} title="API usage" /><span><${Share} /></span></div>
    <div class="filters" role="group" aria-label="Choose what is shown">
      <${Select} label="In" value=${days} options=${RANGES} onChange=${(one) => narrow({ days: one })} />
      ${company && html`<button type="button" onClick=${() => narrow({ company: "" })}>Only ${company}: show all companies</button>`}
    </div>
    <${Calls} ...${own} />
    ${GROUPS.map(([by, title, heading]) => html`<${Top} key=${by} by=${by} title=${title} heading=${heading} ...${own} />`)}
    <${Retention} company=${company} />
    <${Samples} range=${range} days=${Number(days)} chosen=${parameters.metric} />`;
}

function Calls({ asked, days, of }) {
  const load = (signal) => ask(paths.usage, { ...asked, group_by: "day", limit: 1000 }, signal);
  const { found, failure, again } = useLoaded(load, of);
  const charts = useMemo(() => found && buildLines(found.results, days), [found]);
  if (failure) return html`<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`<${Loading} what="calls" />`;
  if (!found.results.length) {
    return html`<${Nothing} title="No API call in these days.">
      <p>Choose a longer time. Calls come from the client libraries of Moesif, with one of our keys.</p></${Nothing}>`;
  }
  return html`<${Totals} total=${found.total} />
    <div class="charts">
      <${Chart} title="Calls" note="Requests and failed ones, each day." days=${charts.days} lines=${charts.calls} show=${showCount} steps=${WHOLE} />
      <${Chart} title="Error rate" note="Calls with a status from 400 on or without an answer, of all of the day." days=${charts.days} lines=${charts.errors} show=${showRate} />
      <${Chart} title="Latency" note="Milliseconds within which 50, 90 and 99 of 100 calls were answered." days=${charts.days} lines=${charts.latency} show=${showTime} />
      <${Chart} title="Customers" note="Users and companies who called, and those who never had before." days=${charts.days} lines=${charts.customers} show=${showCount} steps=${WHOLE} />
    </div>
    <p class="hint">Days are those of ${ZONE}.</p>`;
}

function Totals({ total }) {
  const people = (all, began, left) => `${count(all)}, ${count(began)} of them new; ${count(left)} of the time before did not call again`;
  return html`<${Facts} rows=${[
    ["Calls", `${count(total.calls)}, ${showGrowth(total.growth_of_calls_before)} on the time before`],
    ["Errors", `${count(total.errors)}, ${percent(total.error_rate_of_calls)} of all`],
    ["Answered within", `${showTime(total.milliseconds_p50)} (half), ${showTime(total.milliseconds_p99)} (99 of 100)`],
    ["Uptime", `${percent(total.uptime_of_minutes)} of the minutes with a call`],
    ["Users", people(total.users, total.new_users, total.lost_users)],
    ["Companies", people(total.companies, total.new_companies, total.lost_companies)],
  ]} />`;
}

function buildLines(results, number) {
  const days = listDays(number);
  const rows = new Map(results.map((row) => [row.day, row]));
  const line = (name, key, missing) => ({ name, values: days.map((day) => rows.get(day)?.[key] ?? missing) });
  return {
    days,
    calls: [line("Requests", "calls", 0), line("Errors", "errors", 0)],
    errors: [line("Error rate", "error_rate_of_calls", null)],
    latency: [50, 90, 99].map((part) => line(`p${part}`, `milliseconds_p${part}`, null)),
    customers: [
      line("Users", "users", 0), line("New users", "new_users", 0),
      line("Companies", "companies", 0), line("New companies", "new_companies", 0),
    ],
  };
}

function Top({ by, title, heading, asked, days, of }) {
  const load = (signal) => ask(paths.usage, { ...asked, group_by: by, order: "-calls", limit: MOST_ROWS }, signal);
  const { found, failure, again } = useLoaded(load, `${by} ${of}`);
  if (found && !found.total_count) return null;
  return html`<section aria-labelledby=${by}><h2 id=${by}>${title}</h2>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />` : !found ? html`<${Loading} what=${title.toLowerCase()} />`
      : html`<div class="scroll" tabIndex="0" role="region" aria-label=${`${title}, figures`}><table>
          <thead><tr><th scope="col">${heading}</th>
            ${COLUMNS.map(([key, name]) => html`<th key=${key} scope="col" class="number">${name}</th>`)}</tr></thead>
          <tbody>${found.results.map((row) => html`<tr key=${row[by]}>
            <th scope="row"><${Name} by=${by} value=${row[by]} days=${days} /></th>
            ${COLUMNS.map(([key, , show]) => html`<td key=${key} class="number">${show(row[key])}</td>`)}</tr>`)}</tbody>
        </table></div>
        ${found.total_count > found.results.length && html`<p class="hint">${count(found.total_count)} in all, of which those with the most calls are shown.</p>`}`}
  </section>`;
}

// A company leads to what it does alone; one whose id has a comma can't be asked for.
function Name({ by, value, days }) {
  if (value == null) return "none";
  if (by !== "company" || value.includes(",")) return value;
  return html`<a href=${link("usage", "", { days, company: value })}>${value}</a>`;
}

function Retention({ company }) {
  const load = (signal) => ask(paths.retention, { timezone: ZONE, companies: company }, signal);
  const { found, failure, again } = useLoaded(load, company);
  if (found && !found.results.length) return null;
  const weeks = found ? Math.max(...found.results.map((row) => row.rates.length)) : 0;
  return html`<section aria-labelledby="retention"><h2 id="retention">Users who stay</h2>
    <p class="hint">Of the users whose first call was in a week: how many of 100 called in that week (0) and in the weeks after it.</p>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />` : !found ? html`<${Loading} what="weeks" />`
      : html`<div class="scroll" tabIndex="0" role="region" aria-label="Users who stay, by week"><table>
          <thead><tr><th scope="col">Week from</th><th scope="col" class="number">Users</th>
            ${Array.from({ length: weeks }, (_, week) => html`<th key=${week} scope="col" class="number"><span class="hidden">week </span>${week}</th>`)}</tr></thead>
          <tbody>${found.results.map((row) => html`<tr key=${row.week}><th scope="row">${showDay(new Date(`${row.week}T00:00:00`))}</th>
            <td class="number">${count(row.size)}</td>
            ${Array.from({ length: weeks }, (_, week) => html`<td key=${week} class="number">${week < row.rates.length ? percent(row.rates[week], 0) : ""}</td>`)}</tr>`)}</tbody>
        </table></div>`}
  </section>`;
}
