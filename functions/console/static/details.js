// A message to each of its recipients, and an event with what the provider sent.
import { ask, paths } from "./api.js";
import { html } from "./dom.js";
import { Copy, Facts, Heading, Loading, Nothing, Share, Time, Trouble, useLoaded } from "./parts.js";
import { link } from "./place.js";
import { Message, nameMessage } from "./timeline.js";
import { count, describe, explain, nameProvider } from "./words.js";

export function MessageView({ value: id }) {
  const { found, failure, again } = useLoaded((signal) => ask(paths.message(id), {}, signal), id);
  const messages = found?.results.messages ?? [];
  const title = messages.length === 1 ? nameMessage(messages[0]) : "Message";
  const heading = html`<div class="title"><${Heading} title=${title} /><span><${Share} /></span></div>
    <p class="about"><span class="id">Id ${id} <${Copy} text=${id} what="id" hint="of the message" /></span></p>`;
  if (failure?.status === 404) {
    return html`${heading}<${Nothing} title="Nothing is known of this message.">
      <p>Ids differ by provider, and its own console shows them as we have them. Or look for
      ${" "}<a href=${link("search", "", { q: id, as: "words" })}>these words in subjects</a>.</p>
    </${Nothing}>`;
  }
  if (failure) return html`${heading}<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`${heading}<${Loading} what="the message" />`;
  return html`${heading}
    ${found.results.recipient_count > messages.length
      && html`<p class="hint">Sent to ${count(found.results.recipient_count)} recipients; the first ${messages.length} are shown.</p>`}
    ${messages.map((message) => html`<${Message} key=${message.recipient} message=${message} open=${messages.length < 4} ofMessage />`)}`;
}

const NAMES = {
  message_id: "Message", transmission_id: "Transmission", campaign: "Campaign", template: "Template", subject: "Subject",
  sender: "From", sending_ip: "Sent from", ip_pool: "IP pool", recipient_domain: "Recipient's domain", reason: "Reason",
  url: "Link", ip_address: "IP address", user_agent: "Program", subaccount: "Subaccount", event_id: "Provider's event id",
  provider_type: "Provider's word", bounce_kind: "Kind of bounce", bounce_class: "Class of bounce",
};

export function EventView({ value: key }) {
  const { found, failure, again } = useLoaded((signal) => ask(paths.event(key), {}, signal), key);
  const event = found?.results.event;
  const heading = html`<div class="title"><${Heading} title=${event ? describe(event) : "Event"} /><span><${Share} /></span></div>`;
  if (failure?.status === 404) {
    return html`${heading}<${Nothing} title="There is no such event.">
      <p>It may be past the time for which events are kept. <a href="#/">Look for its recipient</a>.</p>
    </${Nothing}>`;
  }
  if (failure) return html`${heading}<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`${heading}<${Loading} what="the event" />`;
  const { normalised, original, withheld, batch } = found.results;
  const text = JSON.stringify(original, null, 2);
  const rows = Object.entries(NAMES).map(([name, label]) => [label, normalised[name] == null ? null : String(normalised[name])]);
  return html`${heading}
    <p class="about"><${Time} at=${event.timestamp} /> <span>${nameProvider(event.provider)}</span>
      ${normalised.recipient && html`<span><a href=${link("recipients", normalised.recipient)}>${normalised.recipient}</a></span>`}
      ${normalised.message_id && html`<span><a href=${link("messages", normalised.message_id)}>Its message</a></span>`}</p>
    ${explain(event).map((line, number) => html`<p key=${number} class="reason">${line}</p>`)}
    <section aria-labelledby="fields"><h2 id="fields">In our words</h2>
      <${Facts} rows=${[...rows, ["Tags", normalised.tags?.join(", ")], ["Metadata", normalised.metadata && JSON.stringify(normalised.metadata)]]} /></section>
    <section aria-labelledby="raw"><div class="title"><h2 id="raw">As the provider sent it</h2>
      ${original != null && html`<span><${Copy} text=${text} what="event" hint="as the provider sent it" /></span>`}</div>
      ${original == null
        ? html`<p class="note">${withheld ? `Not shown: ${withheld}.` : "The provider's form is not known any more."}</p>`
        : html`<pre tabIndex="0" aria-labelledby="raw"><code>${text}</code></pre>`}</section>
    ${batch && html`<section aria-labelledby="batch"><h2 id="batch">Where it came from</h2>
      <${Facts} rows=${[
        ["Received", html`<${Time} at=${batch.received_at} />`],
        ["Loaded", html`<${Time} at=${batch.loaded_at} />`],
        ["Stored as", html`<span class="id">${batch.object_key} <${Copy} text=${batch.object_key} what="key" hint="of the stored batch" /></span>`],
        ["Provider's batch", batch.provider_batch_id],
      ]} /></section>`}`;
}
