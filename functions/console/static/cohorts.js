// Cohorts: how many are in, who, since when and why, and who came and went.
import { ask, paths } from "./api.js";
import { Chart } from "./chart.js";
import { Changes, Members } from "./cohort_members.js";
import { html, useMemo } from "./dom.js";
import { Facts, Heading, Loading, Nothing, Select, Share, Time, Trouble, useLoaded } from "./parts.js";
import { link, narrow } from "./place.js";
import { count, plural, ZONE } from "./words.js";

const RANGES = [["7", "the last 7 days"], ["30", "the last 30 days"], ["90", "the last 90 days"], ["366", "the last year"]];
const SUBJECTS = { user: ["user", "users"], company: ["company", "companies"] };
const WHOLE = Array.from({ length: 30 }, (_, number) => [1, 2, 5][number % 3] * 10 ** Math.floor(number / 3));

const showCount = (number) => count(number);
const showSize = ({ size, subject }) => plural(size, ...SUBJECTS[subject]);

// How a cohort stands: the badge's colour, its word, and a sentence.
function findState(cohort) {
  if (cohort.deleted_at) return ["plain", "deleted", "It was deleted. Who was in it can still be looked up."];
  if (cohort.error) return ["bad", "failed", `The last evaluation failed: ${cohort.error}.`];
  if (cohort.version == null) return ["warn", "waiting", "It has not been evaluated yet."];
  if (cohort.version !== cohort.wanted_version) return ["warn", "changed", "Its definition was changed; the next evaluation goes by the new one."];
  return ["good", "up to date", ""];
}

function State({ cohort }) {
  const [colour, word] = findState(cohort);
  return html`<span class=${`badge ${colour}`}>${word}</span>`;
}

export function Cohorts({ value: name, parameters }) {
  return name ? html`<${Cohort} name=${name} parameters=${parameters} />` : html`<${List} />`;
}

function List() {
  const { found, failure, again } = useLoaded((signal) => ask(paths.cohorts, { per_page: 1000 }, signal), "cohorts");
  const cohorts = found?.results ?? [];
  const shown = [...cohorts.filter((each) => !each.deleted_at), ...cohorts.filter((each) => each.deleted_at)];
  return html`<div class="title"><${Heading} title="Cohorts" /><span><${Share} /></span></div>
    <p>Users and companies of whom something is true, by their definitions.</p>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />`
      : !found ? html`<${Loading} what="cohorts" />`
      : !shown.length ? html`<${Nothing} title="There is no cohort yet."><p>Cohorts are files in the folder <code>cohorts</code>; a command applies them.</p></${Nothing}>`
      : html`<ol class="results">${shown.map((each) => html`<li key=${each.name}>
          <p><a href=${link("cohorts", each.name)}>${each.title}</a> <${State} cohort=${each} /></p>
          <p class="about"><strong>${showSize(each)}</strong> <span class="id">${each.name}</span>
            ${each.evaluated_at && html`<span>as of <${Time} at=${each.evaluated_at} /></span>`}</p>
          ${each.error && html`<p class="reason">${findState(each)[2]}</p>`}
        </li>`)}</ol>
        ${found.links.next && html`<p class="hint">The first ${shown.length} are shown.</p>`}`}`;
}

function Cohort({ name, parameters }) {
  const { days = "30" } = parameters;
  const key = `${name} ${days}`;
  const { found, failure, again } = useLoaded((signal) => ask(paths.cohort(name), { days, timezone: ZONE }, signal), key);
  const cohort = found?.results;
  const lines = useMemo(() => cohort && buildLines(cohort.days), [cohort]);
  const heading = html`<div class="title"><${Heading} title=${cohort?.title ?? name} /><span><${Share} /></span></div>`;
  if (failure?.status === 404) {
    return html`${heading}<${Nothing} title="There is no such cohort."><p>Look through <a href="#/cohorts">all of them</a>.</p></${Nothing}>`;
  }
  if (failure) return html`${heading}<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`${heading}<${Loading} what="the cohort" />`;
  return html`${heading}
    <${Standing} cohort=${cohort} />
    <div class="filters" role="group" aria-label="Choose the days that are drawn">
      <${Select} label="In" value=${days} options=${RANGES} onChange=${(one) => narrow({ days: one })} />
    </div>
    <div class="charts">
      <${Chart} title="Members" note="How many were in as each day ended; today’s is the present." days=${lines.days} lines=${lines.size} show=${showCount} steps=${WHOLE} />
      <${Chart} title="Entries and exits" note="How often somebody entered or left, each day." days=${lines.days} lines=${lines.changes} show=${showCount} steps=${WHOLE} />
    </div>
    <${Definition} cohort=${cohort} />
    <${Members} cohort=${cohort} at=${parameters.at ?? ""} />
    <${Changes} cohort=${cohort} kind=${parameters.kind ?? ""} />`;
}

function Standing({ cohort }) {
  const [colour, , sentence] = findState(cohort);
  return html`<section class=${`standing ${colour === "bad" ? "bad" : "good"}`} aria-labelledby="standing">
    <h2 id="standing">${showSize(cohort)}</h2>
    <p><${State} cohort=${cohort} /> ${sentence}</p>
    <${Facts} rows=${[
      ["Members are known up to", cohort.evaluated_at && html`<${Time} at=${cohort.evaluated_at} />`],
      ["Failed", cohort.failed_at && html`<${Time} at=${cohort.failed_at} />`],
      ["Deleted", cohort.deleted_at && html`<${Time} at=${cohort.deleted_at} />`],
      ["Definition in force", cohort.version && html`version ${cohort.version}, since <${Time} at=${cohort.switched_on_at} />`],
      ["Name", html`<span class="id">${cohort.name}</span>`],
    ]} />
  </section>`;
}

function Definition({ cohort }) {
  return html`<section aria-labelledby="definition"><h2 id="definition">Definition</h2>
    <pre tabIndex="0" aria-labelledby="definition"><code>${JSON.stringify(cohort.definition.members, null, 2)}</code></pre>
    <details><summary>${plural(cohort.versions.length, "version")}</summary>
      <ol class="results">${cohort.versions.map((each) => html`<li key=${each.version}>
        <p class="about"><strong>Version ${each.version}</strong> <span>made by ${each.created_by}</span> <${Time} at=${each.created_at} /></p>
        <p>${each.switched_on_at ? html`In force from <${Time} at=${each.switched_on_at} /> on.` : "Not in force yet."}</p>
      </li>`)}</ol>
    </details>
  </section>`;
}

function buildLines(days) {
  const line = (name, key) => ({ name, values: days.map((day) => day[key]) });
  return {
    days: days.map((each) => each.day),
    size: [line("Members", "size")],
    changes: [line("Entered", "entered"), line("Left", "exited")],
  };
}
