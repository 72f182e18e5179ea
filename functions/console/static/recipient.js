// One recipient: how the address stands, and what became of each mail to it.
import { ask, paths } from "./api.js";
import { html, useEffect, useMemo, useState } from "./dom.js";
import { Copy, Day, Heading, Loading, Nothing, Select, Share, Time, Trouble, useLoaded } from "./parts.js";
import { link, narrow } from "./place.js";
import { capital, Message, Timeline } from "./timeline.js";
import { count, dayToInstant, EVENT_TYPES, nameProvider, plural, shortWord } from "./words.js";

// Provider and event are chosen among what is loaded. Where little of that fits, older pages are looked through, so many at once.
const PAGES_AT_ONCE = 20;
const ENOUGH = 10;

export function Recipient({ value: address, parameters }) {
  const { from = "", to = "", provider = "", type = "" } = parameters;
  const key = JSON.stringify([address, from, to]);
  const range = { from: dayToInstant(from), to: dayToInstant(to, 1) };
  const first = useLoaded((signal) => ask(paths.recipient(address), range, signal), key);
  const [kept, setMore] = useState({ key: null, pages: [] });
  const more = kept.key === key ? kept : { key, pages: [] };
  const pages = first.found ? [first.found, ...more.pages] : [];
  const messages = pages.flatMap((page) => page.results.messages);
  const others = pages.flatMap((page) => page.results.other_events);
  const next = pages.at(-1)?.links.next;
  const providers = useMemo(
    () => [...new Set([...messages, ...others].map((each) => each.provider).concat(provider || []))].sort(),
    [messages.length, others.length, provider],
  );
  const fits = (events, by) => (!provider || by === provider) && (!type || events.some((event) => event.event_type === type));
  const shown = messages.filter((message) => fits(message.events, message.provider));
  const lone = others.filter((event) => fits([event], event.provider));
  const isChosen = Boolean(provider || type);
  const [patience, setPatience] = useState(PAGES_AT_ONCE);
  const isLooking = isChosen && Boolean(next) && shown.length + lone.length < ENOUGH && pages.length < patience && !more.failure;
  const loadMore = async () => {
    setMore({ key, pages: more.pages, busy: true });
    try {
      setMore({ key, pages: [...more.pages, await ask(next)] });
    } catch (failure) {
      setMore({ key, pages: more.pages, failure });
    }
  };
  useEffect(() => {
    if (isLooking && !more.busy) loadMore();
  }, [isLooking, more]);
  const goOn = () => {
    setPatience(pages.length + PAGES_AT_ONCE);
    return loadMore();
  };
  const isNarrowed = from || to || provider || type;
  const widen = html`<button type="button" onClick=${() => narrow({ from: "", to: "", provider: "", type: "" })}>Show all</button>`;
  const looked = `the ${plural(messages.length, "message")}${next ? " looked at so far" : ""}`;
  const heading = html`<div class="title">
    <${Heading} title=${address} /><span><${Copy} text=${address} what="address" /> <${Share} /></span>
  </div>`;
  if (first.failure) return html`${heading}<${Trouble} failure=${first.failure} again=${first.again} />`;
  if (!first.found) return html`${heading}<${Loading} what="this recipient" />`;
  const { standing } = first.found.results;
  const isUnknown = !messages.length && !others.length && !isNarrowed && !next;
  if (isUnknown) {
    return html`${heading}<${Nothing} title="Nothing is known of this address.">
      <p>No provider told of a mail to it. Check the spelling with the customer, or try:</p>
      <ul>
        <li><a href=${link("search", "", { q: `${address.split("@")[0]}@` })}>addresses that begin with ${address.split("@")[0]}@</a></li>
        <li><a href=${link("messages", address)}>a message with this as its id</a></li>
      </ul>
    </${Nothing}>`;
  }
  return html`${heading}
    <${Standing} standing=${standing} address=${address} />
    <section aria-labelledby="messages">
      <h2 id="messages">Messages</h2>
      <div class="filters" role="group" aria-label="Narrow the messages">
        <${Day} label="From" value=${from} onChange=${(day) => narrow({ from: day })} />
        <${Day} label="To" value=${to} onChange=${(day) => narrow({ to: day })} />
        <${Select} label="Provider" value=${provider} onChange=${(one) => narrow({ provider: one })}
          options=${[["", "any"], ...providers.map((one) => [one, nameProvider(one)])]} />
        <${Select} label="What happened" value=${type} onChange=${(one) => narrow({ type: one })}
          options=${[["", "anything"], ...EVENT_TYPES.map((one) => [one, shortWord(one)])]} />
        ${isNarrowed && widen}
      </div>
      <p class="hint" role="status">${isChosen ? `${count(shown.length)} of ${looked}` : plural(shown.length, "message") + (next ? " so far" : "")}, the newest first.</p>
      ${shown.map((message, number) => html`<${Message} key=${message.message_id} message=${message} open=${number === 0} />`)}
      ${!shown.length && !lone.length && !isLooking && html`<${Nothing} title="None of the messages fits.">
        <p>${next ? "There are older ones: look through them, or choose" : "Look for"} other days, providers or events.</p>
      </${Nothing}>`}
      ${lone.length > 0 && html`<h3>Events that name no message</h3><${Timeline} events=${lone} />`}
      ${more.failure && html`<${Trouble} failure=${more.failure} />`}
      ${isLooking ? html`<${Loading} what="older messages" />`
        : next && html`<p><button type="button" disabled=${more.busy} onClick=${goOn}>
          ${isChosen ? "Look through older messages" : "Load older messages"}</button></p>`}
    </section>`;
}

function countBounces({ bounces, hard_bounces: hard }) {
  if (!bounces) return "none";
  return hard === bounces ? `${bounces}, for good` : `${bounces}, ${hard || "none"} of them for good`;
}

function Standing({ standing, address }) {
  const cause = standing.suppression;
  return html`<section class=${`standing ${cause ? "bad" : "good"}`} aria-labelledby="standing">
    <h2 id="standing">${cause ? "Should not be mailed" : "Can be mailed"}</h2>
    ${cause && html`<p>${capital(cause.description)}. <${Time} at=${cause.timestamp} />
      ${" "}<a href=${link("events", cause.event_key)}>See the event</a></p>
      ${cause.reason && html`<p class="reason">${cause.reason}</p>`}`}
    <dl class="facts">
      <div><dt>Last delivered</dt><dd><${Time} at=${standing.last_delivered} /></dd></div>
      <div><dt>Last opened</dt><dd><${Time} at=${standing.last_opened} /></dd></div>
      <div><dt>Last clicked</dt><dd><${Time} at=${standing.last_clicked} /></dd></div>
      <div><dt>Bounces</dt><dd>${countBounces(standing)}
        ${standing.last_bounce && standing.last_bounce.event_key !== cause?.event_key
          && html`<br />last <${Time} at=${standing.last_bounce.timestamp} />`}</dd></div>
      <div><dt>Reported as spam</dt><dd>${standing.complaint ? html`<${Time} at=${standing.complaint.timestamp} />` : "no"}</dd></div>
      <div><dt>Unsubscribed</dt><dd>${standing.unsubscribed ? html`<${Time} at=${standing.unsubscribed.timestamp} />` : "no"}</dd></div>
    </dl>
    <p class="about"><a href=${link("suppressions", "", { address })}>Our own list of suppressions</a>
      <a href=${link("deliveries", "", { recipient: address })}>Mails that we sent to members of cohorts</a></p>
    <p class="hint">By what the providers told. A provider may have a suppression list of its own.</p>
  </section>`;
}
