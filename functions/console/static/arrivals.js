// What came in from the providers, and what could not be read.
import { ask, paths } from "./api.js";
import { html } from "./dom.js";
import { Heading, Loading, Nothing, Share, Time, Trouble, useLoaded } from "./parts.js";
import { count, nameProvider } from "./words.js";

export function Arrivals() {
  return html`<div class="title"><${Heading} title="Arrivals" /><span><${Share} /></span></div>
    <p>Batches of events as the providers' webhooks brought them, and what of them could not be read.</p>
    <${List} id="quarantine" title="Could not be read" path=${paths.quarantine} Entry=${Quarantined}
      none="Everything that came could be read." />
    <${List} id="batches" title="Batches" path=${paths.batches} Entry=${Batch}
      none="No batch has come yet. Is a provider's webhook set to this deployment's address?" />`;
}

function List({ id, title, path, Entry, none }) {
  const { found, failure, again } = useLoaded((signal) => ask(path, { per_page: 50 }, signal), path);
  return html`<section aria-labelledby=${id}><h2 id=${id}>${title}</h2>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />`
      : !found ? html`<${Loading} what=${title.toLowerCase()} />`
      : !found.results.length ? html`<${Nothing} title=${none} />`
      : html`<ol class="results">${found.results.map((entry, number) => html`<li key=${number}><${Entry} entry=${entry} /></li>`)}</ol>
        ${found.links.next && html`<p class="hint">The newest ${found.results.length} are shown.</p>`}`}
  </section>`;
}

// What came, in lines if it is JSON.
function showItem(item) {
  try {
    return JSON.stringify(typeof item === "string" ? JSON.parse(item) : item, null, 2);
  } catch {
    return item;
  }
}

function Quarantined({ entry }) {
  return html`<p class="about"><${Time} at=${entry.received_at} /> <span>${nameProvider(entry.provider)}</span>
      ${entry.item_index != null && html`<span>Event ${count(entry.item_index + 1)} of its batch</span>`}</p>
    <p>${entry.reason}</p>
    ${entry.item != null && html`<details><summary>What came</summary><pre tabIndex="0"><code>${showItem(entry.item)}</code></pre></details>`}
    <p class="id faint">${entry.object_key}</p>`;
}

function Batch({ entry }) {
  const apart = [[entry.duplicate_count, "there already"], [entry.quarantine_count, "unreadable"], [entry.expired_count, "too old"]];
  return html`<p class="about"><${Time} at=${entry.received_at} /> <span>${nameProvider(entry.provider)}</span>
      <span>${count(entry.event_count)} events</span>
      ${apart.filter(([number]) => number).map(([number, word]) => html`<span key=${word}>${count(number)} ${word}</span>`)}</p>
    <p class="id faint">${entry.object_key}</p>`;
}
