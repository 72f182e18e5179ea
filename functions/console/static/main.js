// The console: a search box, and the view that the address names.
import { Arrivals } from "./arrivals.js";
import { Cohorts } from "./cohorts.js";
import { Deliveries } from "./deliveries.js";
import { EventView, MessageView } from "./details.js";
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./dom.js";
import { Heading, Nothing } from "./parts.js";
import { Metrics } from "./metrics.js";
import { Notifications } from "./notifications.js";
import { classify, go, usePlace } from "./place.js";
import { Recipient } from "./recipient.js";
import { Search } from "./search.js";
import { comeBack, useSession } from "./session.js";
import { Suppressions } from "./suppressions.js";
import { TELLING } from "./telling.js";
import { Templates } from "./templates.js";
import { Usage } from "./usage.js";

const VIEWS = {
  "": Home,
  search: Search,
  recipients: Recipient,
  messages: MessageView,
  events: EventView,
  metrics: Metrics,
  usage: Usage,
  cohorts: Cohorts,
  notifications: Notifications,
  deliveries: Deliveries,
  templates: Templates,
  suppressions: Suppressions,
  arrivals: Arrivals,
};
const TABS = [["", "Look up"], ["metrics", "Delivery"], ["usage", "API usage"], ["cohorts", "Cohorts"], ["notifications", "Notifications"], ["arrivals", "Arrivals"]];

function Home() {
  return html`<${Heading} title="What became of a mail?" />
    <p>Type into the box above what you know:</p>
    <ul>
      <li><strong>an address</strong>: how it stands, and every mail to it;</li>
      <li><strong>a message's id</strong>: what became of it;</li>
      <li><strong>words of a subject</strong>, or how an address begins: what was sent like that.</li>
    </ul>
    <p class="hint">The key <kbd>/</kbd> leads to the box from anywhere.</p>`;
}

function Unknown() {
  return html`<${Heading} title="There is no such view" /><${Nothing} title="The link may be cut off.">
    <p><a href="#/">Begin with the search</a>.</p></${Nothing}>`;
}

function SearchBox({ place }) {
  const box = useRef(null);
  const shown = place.view === "search" ? place.parameters.q : ["recipients", "messages"].includes(place.view) ? place.value : "";
  const [text, setText] = useState(shown ?? "");
  // Before the box is seen: who types at once must not lose what she types.
  useLayoutEffect(() => setText(shown ?? ""), [shown]);
  useLayoutEffect(() => {
    const jump = (event) => {
      const isTyping = event.target.closest?.("input, select, textarea, [contenteditable]");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
      event.preventDefault();
      box.current.focus();
      box.current.select();
    };
    addEventListener("keydown", jump);
    return () => removeEventListener("keydown", jump);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const typed = box.current.value.trim();
    if (!typed) return box.current.focus();
    const [view, value] = classify(typed);
    go(view, value, view === "search" ? { q: typed } : {});
    box.current.blur();
  };
  return html`<search><form onSubmit=${submit}>
    <label for="box" class="hidden">Address, message id or words of the subject</label>
    <input id="box" ref=${box} type="search" value=${text} autocomplete="off" autocapitalize="none" spellcheck=${false}
      placeholder="Address, message id or subject" onInput=${(event) => setText(event.currentTarget.value)} />
    <button class="primary">Search</button>
  </form></search>`;
}

function App() {
  const place = usePlace();
  const { session, ending } = useSession();
  useEffect(() => scrollTo(0, 0), [place.view, place.value]);
  if (!session) return html`<p class="loading" role="status">Loading …</p>`;
  if (session.isUnknown) {
    return html`<main><h1>The console can't be reached</h1><p>Is this computer online? Then try again in a minute.</p>
      <p><button type="button" onClick=${() => location.reload()}>Try again</button></p></main>`;
  }
  const View = VIEWS[place.view] ?? Unknown;
  const tab = TELLING.includes(place.view) ? "notifications" : TABS.some(([view]) => view === place.view) ? place.view : "";
  const isMasked = !session.scopes.some((scope) => scope === "pii:read" || scope === "admin");
  const skip = (event) => {
    event.preventDefault();
    document.querySelector("main h1")?.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to what was found</a>
    <header>
      <a class="home" href="#/">Mailwake</a>
      <${SearchBox} place=${place} />
      <nav aria-label="Views">${TABS.map(([view, name]) => html`<a key=${view} href=${`#/${view}`} aria-current=${tab === view ? "page" : undefined}>${name}</a>`)}</nav>
      <form class="who" method="post" action="/console/sign-out">
        <span title="signed in as">${session.name}</span> <button class="small">Sign out</button>
      </form>
    </header>
    ${ending && html`<p class="note warn ending" role="alert">You will be signed out within a minute, unless you go on. <button type="button">Stay signed in</button></p>`}
    <main id="main">
      ${isMasked && html`<p class="note">Your sign-in may not see addresses and metadata: they are masked.</p>`}
      <${View} key=${`${place.view}/${place.value}`} ...${place} session=${session} />
    </main>`;
}

comeBack();
render(html`<${App} />`, document.getElementById("app"));
