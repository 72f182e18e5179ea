// A message and what happened to it.
import { html } from "./dom.js";
import { Badge, Copy, Time } from "./parts.js";
import { link } from "./place.js";
import { describe, explain, mood, nameProvider, plural } from "./words.js";

export function Timeline({ events }) {
  return html`<ol class="timeline">
    ${events.map((event) => html`<li key=${event.event_key} class=${mood(event.event_type)}>
      <p class="when"><${Time} at=${event.timestamp} /></p>
      <p><a href=${link("events", event.event_key)}>${describe(event)}</a></p>
      ${explain(event).map((text, number) => html`<p key=${number} class="reason">${text}</p>`)}
    </li>`)}
  </ol>`;
}

export function nameMessage(message) {
  return message.subject || message.campaign || message.template || "Message without a subject";
}

// `ofMessage`: the view is the message's, so what differs is to whom it went; else it is a recipient's.
export function Message({ message, open, ofMessage = false }) {
  const recipient = message.recipient ? html`<a href=${link("recipients", message.recipient)}>${message.recipient}</a>` : "nobody named";
  return html`<article class="message">
    ${ofMessage ? html`<h2>To ${recipient}</h2>`
      : html`<h3><a href=${link("messages", message.message_id)}>${nameMessage(message)}</a></h3>`}
    <p class="state"><${Badge} type=${message.state.name} /> ${capital(message.state.description)}</p>
    <p class="about">
      <${Time} at=${message.began_at} />
      <span>${nameProvider(message.provider)}</span>
      ${message.campaign && html`<span>Campaign ${message.campaign}</span>`}
      ${!ofMessage && html`<span class="id">Id ${message.message_id} <${Copy} text=${message.message_id} what="id" hint="of the message" /></span>`}
    </p>
    <details open=${open}>
      <summary>${plural(message.event_count, "event")}<span class="hidden"> of ${ofMessage ? message.recipient : nameMessage(message)}</span></summary>
      ${message.events.length < message.event_count
        && html`<p class="hint">The first, the newest and the latest of each kind are shown.</p>`}
      <${Timeline} events=${message.events} />
    </details>
  </article>`;
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
