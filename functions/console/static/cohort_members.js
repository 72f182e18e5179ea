// Who is in a cohort, or was at an instant, who entered and left, and what either rests on.
import { paths } from "./api.js";
import { html } from "./dom.js";
import { Entries, useList } from "./lists.js";
import { Select, Time } from "./parts.js";
import { link, narrow } from "./place.js";
import { plural } from "./words.js";

const KINDS = [["", "both"], ["entered", "who entered"], ["exited", "who left"]];
const REASONS = {
  switched_on: "It was so when this version of the definition came into force.",
  became_part_of_another: "Turned out to be the same person as another one, who is looked at since.",
  deleted: "The cohort was deleted.",
};
const EVENTS = { mail: "mail", call: "API call", action: "action", page: "page", screen: "screen" };

// An instant as the field has it, in the reader's zone, and back.
function toField(at) {
  const instant = new Date(at);
  return at && !Number.isNaN(instant.valueOf()) ? new Date(instant - instant.getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : "";
}

function fromField(text) {
  const instant = new Date(text);
  return text && !Number.isNaN(instant.valueOf()) ? instant.toISOString() : "";
}

export function Members({ cohort, at }) {
  const list = useList(paths.members(cohort.name), { at });
  return html`<section aria-labelledby="in"><h2 id="in">Who is in, and why</h2>
    <div class="filters" role="group" aria-label="Choose an instant">
      <label>At<input type="datetime-local" value=${toField(at)} onChange=${(event) => narrow({ at: fromField(event.currentTarget.value) })} /></label>
      ${at && html`<button type="button" onClick=${() => narrow({ at: "" })}>Now</button>`}
    </div>
    <${Entries} list=${list} what="members" none=${at ? "Nobody was in at that instant." : "Nobody is in now."} Entry=${Member} extra=${{ cohort }} />
  </section>`;
}

export function Changes({ cohort, kind }) {
  const list = useList(paths.transitions(cohort.name), { kind });
  return html`<section aria-labelledby="changes"><h2 id="changes">Who entered and left</h2>
    <div class="filters" role="group" aria-label="Narrow entries and exits">
      <${Select} label="Show" value=${kind} options=${KINDS} onChange=${(one) => narrow({ kind: one })} />
    </div>
    <${Entries} list=${list} what="entries and exits" none="Nobody entered or left." Entry=${Change} extra=${{ cohort }} />
  </section>`;
}

function Member({ entry, cohort }) {
  return html`<p><${Who} entry=${entry} /></p>
    <p class="about"><span>in since <${Time} at=${entry.entered_at} /></span>
      ${entry.exited_at && html`<span>until <${Time} at=${entry.exited_at} /></span>`}</p>
    <${Why} cause=${entry.why} version=${entry.version} cohort=${cohort} of=${nameSubject(entry)} />`;
}

function Change({ entry, cohort }) {
  const isEntry = entry.kind === "entered";
  return html`<p><span class=${`badge ${isEntry ? "good" : "plain"}`}>${isEntry ? "entered" : "left"}</span> <${Who} entry=${entry} /></p>
    <p class="about"><${Time} at=${entry.at} /> <span>found out <${Time} at=${entry.told_at} /></span></p>
    <${Why} cause=${entry.cause} version=${entry.version} cohort=${cohort} of=${nameSubject(entry)} />`;
}

const nameSubject = (entry) => entry.identities[0]?.value ?? "somebody";

// The first name, and the others; an address leads to what became of its mails.
function Who({ entry }) {
  const show = ({ type, value }) => (type === "address" ? html`<a href=${link("recipients", value)}>${value}</a>` : value);
  const [first, ...others] = entry.identities;
  const left = entry.identity_count - entry.identities.length;
  return html`<strong>${first ? show(first) : "somebody"}</strong>
    ${others.map((each) => html` · ${show(each)}`)}${left > 0 && ` · and ${plural(left, "other name")}`}`;
}

function Why({ cause, version, cohort, of }) {
  if (cause.reason !== "conditions") return html`<p class="reason">${REASONS[cause.reason]}</p>`;
  const definition = version === cohort.definition_version ? cohort.definition : {};
  return html`<details><summary>Why<span class="hidden"> of ${of}</span></summary>
    <ul>${cause.conditions.map((found) => html`<li key=${found.place}>
      <p><strong>${found.holds ? "True" : "Not true"}</strong>: <code>${showPart(definition, found.place, version)}</code></p>
      ${found.events.length > 0 && html`<p class="about">${found.events.map((event) => html`<span key=${event.event_key}><${Found} event=${event} /></span>`)}</p>`}
    </li>`)}</ul>
  </details>`;
}

function Found({ event }) {
  const name = EVENTS[event.kind] ?? event.kind;
  return html`${event.kind === "mail" ? html`<a href=${link("events", event.event_key)}>${name}</a>` : name} <${Time} at=${event.occurred_at} />`;
}

// The condition at a place of the definition, or the one that it is a part of.
function showPart(definition, place, version) {
  let part = definition;
  for (const step of place.split(/[.[\]]+/).filter(Boolean)) {
    if (part?.[step] === undefined) break;
    part = part[step];
  }
  return part === definition ? `${place} of version ${version}` : JSON.stringify(part);
}
