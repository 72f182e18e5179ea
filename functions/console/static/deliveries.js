// Deliveries: each attempt to tell, what became of it, and why.
import { paths } from "./api.js";
import { html } from "./dom.js";
import { Entries, useList } from "./lists.js";
import { Copy, Day, Heading, Select, Share, Text, Time } from "./parts.js";
import { link, narrow } from "./place.js";
import { describeState, State, STATE_OPTIONS, Views } from "./telling.js";
import { capital } from "./timeline.js";
import { dayToInstant } from "./words.js";

export function Deliveries({ view, value: id, parameters }) {
  if (id) return html`<${Attempts} id=${id} view=${view} />`;
  return html`<div class="title"><${Heading} title="Deliveries" /><span><${Share} /></span></div>
    <${Views} view=${view} />
    <p>Each attempt to tell somebody something, the newest first.</p>
    <${Narrowed} parameters=${parameters} />`;
}

// Those that the place is narrowed to; `notification` where they are of one alone.
export function Narrowed({ parameters, notification = "" }) {
  const { state = "", recipient = "", from = "", to = "" } = parameters;
  const of = notification || parameters.notification || "";
  const given = { state, recipient, notification: of, from: dayToInstant(from), to: dayToInstant(to, 1) };
  const list = useList(paths.deliveries, given);
  const isNarrowed = state || recipient || from || to || (of && !notification);
  return html`<div class="filters" role="group" aria-label="Narrow the deliveries">
      <${Select} label="What became of it" value=${state} options=${STATE_OPTIONS} onChange=${(one) => narrow({ state: one })} />
      <${Text} label="Recipient" value=${recipient} onChange=${(one) => narrow({ recipient: one })} />
      ${!notification && html`<${Text} label="Notification" value=${of} onChange=${(one) => narrow({ notification: one })} />`}
      <${Day} label="From" value=${from} onChange=${(day) => narrow({ from: day })} />
      <${Day} label="To" value=${to} onChange=${(day) => narrow({ to: day })} />
      ${isNarrowed && html`<button type="button" onClick=${() => narrow({ state: "", recipient: "", notification: "", from: "", to: "" })}>Show all</button>`}
    </div>
    <${Entries} list=${list} what="deliveries" none=${isNarrowed ? "None of the deliveries fits." : "Nobody has been told anything yet."} Entry=${Delivery} />`;
}

// An address leads to what became of all mails to it; a webhook's host and several addresses lead nowhere.
function Recipient({ delivery }) {
  const { recipient, channel } = delivery;
  if (!recipient) return "nobody";
  return channel === "mail" ? html`<a href=${link("recipients", recipient.toLowerCase())}>${recipient}</a>` : recipient;
}

function Delivery({ entry, alone = false }) {
  return html`<p><${State} state=${entry.state} /> <strong><${Recipient} delivery=${entry} /></strong></p>
    <p class="about"><${Time} at=${entry.at} />
      ${!alone && html`<span><a href=${link("notifications", entry.notification)}>${entry.notification}</a></span>`}
      ${entry.template && html`<span>template <a href=${link("templates", entry.template)}>${entry.template}</a>, version ${entry.template_version}</span>`}
      ${alone ? html`<span>attempt ${entry.attempt}</span>`
        : html`<span><a href=${link("deliveries", entry.id)}>attempt ${entry.attempt}<span class="hidden"> of ${entry.id}</span></a></span>`}
      ${entry.message_id && html`<span><a href=${link("messages", entry.message_id)}>what became of the mail</a></span>`}
      ${entry.event_key && html`<span><a href=${link("events", entry.event_key)}>the event that tells</a></span>`}</p>
    <${Why} entry=${entry} />`;
}

function Why({ entry }) {
  const words = entry.error ? `${capital(entry.error)}${entry.status ? ` (status ${entry.status})` : ""}.` : describeState(entry.state);
  return html`${words && html`<p class="reason">${words}</p>`}
    ${entry.awaited_until && html`<p class="hint">Events of SES may still tell until <${Time} at=${entry.awaited_until} /></p>`}`;
}

function Attempts({ id, view }) {
  const list = useList(paths.deliveries, { id });
  const [newest] = list.entries;
  return html`<div class="title"><${Heading} title=${newest ? `To ${newest.recipient ?? "nobody"}` : "Delivery"} /><span><${Share} /></span></div>
    <${Views} view=${view} />
    <p class="about"><span class="id">Id ${id} <${Copy} text=${id} what="id" hint="of the delivery" /></span>
      ${newest && html`<span>notification <a href=${link("notifications", newest.notification)}>${newest.notification}</a></span>
        <span>cohort <a href=${link("cohorts", newest.cohort)}>${newest.cohort}</a></span>
        ${newest.user && html`<span>user ${newest.user}</span>`}`}</p>
    <section aria-labelledby="attempts"><h2 id="attempts">Attempts</h2>
      <${Entries} list=${list} what="attempts" none="There is no such delivery." Entry=${Delivery} extra=${{ alone: true }} />
    </section>`;
}
