// What mails did: people who got, opened and clicked them, and, against those held out, who reached a goal.
import { ask, paths } from "./api.js";
import { findMidnight, RANGES } from "./days.js";
import { html } from "./dom.js";
import { Loading, Nothing, Select, Time, Trouble, useLoaded } from "./parts.js";
import { narrow } from "./place.js";
import { count, percent, plural } from "./words.js";

const TIMES = [["1 day", "1 day"], ["7 days", "7 days"], ["14 days", "14 days"], ["30 days", "30 days"], ["90 days", "90 days"]];
const USUAL_TIME = "7 days";
const OF_SENT = [["delivered", "Delivered"], ["opened", "Opened"], ["clicked", "Clicked"], ["unsubscribed", "Unsubscribed"], ["bounced", "Bounced"], ["complained", "Complained"]];
const NOT_SENT = [["held_out", "Held out"], ["suppressed", "Suppressed"], ["capped", "Capped"], ["dropped", "Dropped"], ["failed", "Failed"], ["unknown", "Unknown"]];

// `of`: "template" or "notification".
export function Effect({ of, name, parameters }) {
  const { goal = "", within = USUAL_TIME, days = "30" } = parameters;
  const key = JSON.stringify([of, name, goal, within, days]);
  const { found, failure, again } = useLoaded((signal) => load(of, name, { goal, within, days }, signal), key);
  const cohorts = useLoaded((signal) => ask(paths.cohorts, { per_page: 1000 }, signal), "cohorts").found?.results ?? [];
  const goals = cohorts.filter((each) => each.subject === "user" && !each.deleted_at).map((each) => [each.name, each.title]);
  const title = (row) => (of === "template" ? `Version ${row.version}` : nameVersion(row));
  const known = goals.some(([each]) => each === goal) ? goals : [...goals, ...(goal ? [[goal, goal]] : [])];
  return html`<section aria-labelledby="effect"><h2 id="effect">Effect</h2>
    <div class="filters" role="group" aria-label="Choose whose effect is shown, and on what">
      <${Select} label="Mails of" value=${days} options=${RANGES} onChange=${(one) => narrow({ days: one })} />
      <${Select} label="Goal: to enter" value=${goal} options=${[["", "none"], ...known]} onChange=${(one) => narrow({ goal: one })} />
      ${goal && html`<${Select} label="Within" value=${within} options=${TIMES} onChange=${(one) => narrow({ within: one })} />`}
    </div>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />`
      : !found ? html`<${Loading} what="figures" />`
      : !found.total.people ? html`<${Nothing} title="No mail was due in these days."><p>Choose a longer time.</p></${Nothing}>`
      : html`<${Figures} found=${found} name=${title} />${found.goal && html`<${Comparison} found=${found} name=${title} />`}`}
  </section>`;
}

function load(of, name, { goal, within, days }, signal) {
  return ask(paths.effect(of, name), { from: findMidnight(Number(days) - 1), goal, within: goal && within }, signal);
}

function Figures({ found, name }) {
  const not = NOT_SENT.filter(([key]) => found.total[key]);
  const row = (heading, each) => html`<tr key=${heading}><th scope="row">${heading}</th>
    <td class="number">${count(each.people)}</td><td class="number">${count(each.sent)}</td>
    ${OF_SENT.map(([key]) => html`<td key=${key} class="number">${count(each[key])}${each.sent > 0 && html` <span class="faint">${percent(each[key] / each.sent, 1)}</span>`}</td>`)}
    ${not.map(([key]) => html`<td key=${key} class="number">${count(each[key])}</td>`)}</tr>`;
  return html`<div class="scroll" tabIndex="0" role="region" aria-label="Figures of the effect"><table>
      <thead><tr><th scope="col">Template</th><th scope="col" class="number">Due to</th><th scope="col" class="number">Sent to</th>
        ${[...OF_SENT, ...not].map(([key, words]) => html`<th key=${key} scope="col" class="number">${words}</th>`)}</tr></thead>
      <tbody>${found.results.map((each) => row(name(each), each))}${found.results.length > 1 && row("All", found.total)}</tbody>
    </table></div>
    <p class="hint">People, each counted once; shares are of those to whom one was sent.</p>`;
}

// What was given up before it was written has no template.
const nameVersion = ({ template, version }) => (template ? `${template}, version ${version}` : "Not written");

// The whole of the goal's shares, and beneath those of each version where there are more.
function Comparison({ found, name }) {
  const { goal, total, results } = found;
  const rows = [["All", total.goal], ...(results.length > 1 ? results.filter((each) => each.goal).map((each) => [name(each), each.goal]) : [])];
  const show = ({ people, entered, share }) => (people ? `${percent(share, 1)} (${count(entered)} of ${count(people)})` : "nobody");
  return html`<figure class="chart" aria-labelledby="comparison">
    <figcaption><h3 id="comparison">Who entered “${goal.title}” within ${goal.within}</h3>
      <p>${total.goal.statement}</p></figcaption>
    ${total.goal.difference != null && html`<${Bars} goal=${total.goal} />`}
    <div class="scroll" tabIndex="0" role="region" aria-label="Figures of the comparison"><table>
      <thead><tr><th scope="col">Template</th><th scope="col" class="number">To be mailed</th><th scope="col" class="number">Mailed</th>
        <th scope="col" class="number">Held out</th><th scope="col" class="number">Difference</th></tr></thead>
      <tbody>${rows.map(([whose, each]) => html`<tr key=${whose}><th scope="row">${whose}</th>
        <td class="number">${show(each.intended)}</td><td class="number">${show(each.mailed)}</td><td class="number">${show(each.held_out)}</td>
        <td class="number">${each.difference == null ? "–" : `${points(each.difference)} points (${points(each.low)} to ${points(each.high)})`}</td></tr>`)}</tbody>
    </table></div>
    <p class="hint">${total.goal.waiting > 0 && `${plural(total.goal.waiting, "person has", "people have")} time left, and are not counted yet. `}
      Those to be mailed are compared, sent or not: of those held out nobody knows who could have been mailed. ${goal.method}.
      ${goal.known_to && html` The cohort is known up to <${Time} at=${goal.known_to} />`}</p>
  </figure>`;
}

const points = (share) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${Math.abs(share * 100).toFixed(1)}`;

const WIDTH = 300;
const GROUPS = [["intended", "To be mailed"], ["held_out", "Held out"]];

// Two bars, and on the first one between what the difference moves it, with 95 % confidence.
function Bars({ goal }) {
  const most = Math.max(goal.intended.share, goal.held_out.share + Math.max(goal.high, 0), 0.01);
  const at = (share) => Math.max(0, (share / most) * WIDTH);
  const [low, high] = [goal.held_out.share + goal.low, goal.held_out.share + goal.high].map(at);
  return html`<div class="bars" role="img" aria-label=${`${goal.statement} The figures are in the table below.`}>
    ${GROUPS.map(([key, name], number) => html`<p key=${key}><span>${name}</span>
      <svg viewBox=${`0 0 ${WIDTH + 4} 22`} preserveAspectRatio="none" aria-hidden="true">
        <rect x="0" y="3" width=${at(goal[key].share)} height="16" class=${`fill-${number + 1}`} />
        ${number === 0 && html`<path d=${`M${low} 11H${high}M${low} 6V16M${high} 6V16`} class="interval" />`}
      </svg><span>${percent(goal[key].share, 1)}</span></p>`)}
  </div>`;
}
