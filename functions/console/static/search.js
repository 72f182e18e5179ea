// What the search box finds when it is neither a whole address nor an id: words of subjects, beginnings of addresses.
import { ask, paths } from "./api.js";
import { html, useState } from "./dom.js";
import { Badge, Heading, Loading, Nothing, Select, Share, Time, Trouble, useLoaded } from "./parts.js";
import { link, narrow } from "./place.js";
import { count, nameProvider, plural } from "./words.js";

const RANGES = [["1", "the last day"], ["7", "the last 7 days"], ["30", "the last 30 days"], ["90", "the last 90 days"], ["400", "all days"]];
const USUAL_DAYS = "30";
const PAGE = 50;

export function Search({ parameters }) {
  const { q = "", days = USUAL_DAYS, as = "" } = parameters;
  const words = q.trim();
  if (!words) {
    return html`<${Heading} title="Search" /><${Nothing} title="Type what you know of the mail.">
      <p>An address, a message's id, words of the subject, or how an address begins.</p></${Nothing}>`;
  }
  const isAddress = words.includes("@");
  const mayBegin = !/\s/.test(words) && words.length > 2 && as !== "words";
  return html`<div class="title"><${Heading} title=${`Search for “${words}”`} /><span><${Share} /></span></div>
    <div class="filters" role="group" aria-label="Narrow the search">
      <${Select} label="In" value=${days} options=${RANGES} onChange=${(one) => narrow({ days: one })} />
    </div>
    ${mayBegin && html`<${Found} key=${`a${words}${days}`} title="Recipients whose address begins like this" by="prefix.recipients" text=${words} days=${days} group=${byRecipient} />`}
    ${!isAddress && html`<${Found} key=${`s${words}${days}`} title="Mails with these words in the subject" by="subjects" text=${words} days=${days} group=${byMessage} />`}`;
}

const byRecipient = (event) => event.rcpt_to;
const byMessage = (event) => `${event.message_id ?? event.event_key} ${event.rcpt_to}`;

function gather(events, group) {
  const groups = new Map();
  for (const event of events) {
    const key = group(event);
    if (groups.has(key)) groups.get(key).number += 1;
    else groups.set(key, { key, event, number: 1 });
  }
  return [...groups.values()];
}

function sayHowMany(pages) {
  const shown = pages.reduce((sum, page) => sum + page.results.length, 0);
  if (!shown) return "Nothing found";
  return pages.at(-1).links.next ? `The newest ${plural(shown, "event")}; there are more` : `${plural(shown, "event")}, the newest first`;
}

function Found({ title, by, text, days, group }) {
  const id = by.replace(".", "-");
  const [from] = useState(() => new Date(Date.now() - days * 86_400_000).toISOString());
  const parameters = { [by]: text, delimiter: "\u001f", from, to: new Date().toISOString(), per_page: PAGE, total: "none" };
  const first = useLoaded((signal) => ask(paths.search, parameters, signal), `${by} ${text} ${from}`);
  const [more, setMore] = useState({ pages: [] });
  const pages = first.found ? [first.found, ...more.pages] : [];
  const next = pages.at(-1)?.links.next;
  const entries = gather(pages.flatMap((page) => page.results), group);
  const loadMore = async () => {
    setMore({ ...more, busy: true, failure: null });
    try {
      setMore({ pages: [...more.pages, await ask(next)] });
    } catch (failure) {
      setMore({ ...more, busy: false, failure });
    }
  };
  return html`<section aria-labelledby=${id}>
    <h2 id=${id}>${title}</h2>
    ${first.failure?.status === 403 ? html`<p class="note">Your sign-in may not see addresses, so it can't look for their beginnings. Type a whole address.</p>`
      : first.failure ? html`<${Trouble} failure=${first.failure} again=${first.again} />`
      : !first.found ? html`<${Loading} what="results" />`
      : html`<p class="hint" role="status">${sayHowMany(pages)}.</p>
        ${!entries.length && html`<p>Try ${by === "subjects" ? "fewer words, with the punctuation that stands at them," : "fewer characters"} or more days.</p>`}
        <ol class="results">
          ${entries.map(({ key, event, number }) => html`<li key=${key}>
            <p><a href=${link("recipients", event.rcpt_to)}>${event.rcpt_to}</a> <${Badge} type=${event.event_type} /></p>
            <p>${event.message_id ? html`<a href=${link("messages", event.message_id)}>${event.subject || "Message without a subject"}</a>` : event.subject}</p>
            <p class="about"><${Time} at=${event.timestamp} /> <span>${nameProvider(event.provider)}</span>
              ${number > 1 && html`<span>${count(number)} events</span>`}</p>
          </li>`)}
        </ol>
        ${more.failure && html`<${Trouble} failure=${more.failure} />`}
        ${next && html`<p><button type="button" disabled=${more.busy} onClick=${loadMore}>Load more</button></p>`}`}
  </section>`;
}
