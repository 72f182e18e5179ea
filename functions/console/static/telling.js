// What the views of notifications, deliveries, templates and suppressions share: words, and the way from one to the other.
import { html } from "./dom.js";
import { link } from "./place.js";
import { nameProvider } from "./words.js";

const VIEWS = [["notifications", "Notifications"], ["deliveries", "Deliveries"], ["templates", "Templates"], ["suppressions", "Suppressions"]];
export const TELLING = VIEWS.map(([view]) => view);

export function Views({ view }) {
  return html`<nav class="views" aria-label="Who is told">
    ${VIEWS.map(([each, name]) => html`<a key=${each} href=${`#/${each}`} aria-current=${each === view ? "page" : undefined}>${name}</a>`)}
  </nav>`;
}

// Who signed in with this scope, or may do everything.
export const may = (session, scope) => session.scopes.includes(scope) || session.scopes.includes("admin");

// The badge's colour, its word, and a sentence.
const STATES = {
  sent: ["good", "sent", ""],
  retrying: ["warn", "tried again", "It did not go, and is tried again."],
  failed: ["bad", "failed", "It did not go, and is not tried again."],
  unknown: ["warn", "unknown", "The attempt broke off: whether it went nobody knows."],
  suppressed: ["plain", "suppressed", "Not sent: the address must not be mailed."],
  held_out: ["plain", "held out", "Not sent, on purpose: she is one of those who get nothing, so that what the mail does can be told."],
  capped: ["plain", "capped", "Not sent: she has had as many mails as she may."],
  dropped: ["plain", "dropped", "Not sent: it was due no more."],
};
export const STATE_OPTIONS = [["", "anything"], ...Object.entries(STATES).map(([state, [, word]]) => [state, word])];
export const describeState = (state) => STATES[state]?.[2] ?? "";

export function State({ state }) {
  const [colour, word] = STATES[state] ?? ["plain", state];
  return html`<span class=${`badge ${colour}`}>${word}</span>`;
}

export function Channel({ channel }) {
  const [[kind, settings]] = Object.entries(channel);
  if (kind === "email") return html`by email to ${settings.to.join(", ")}`;
  if (kind === "slack") return "to Slack";
  if (kind === "webhook") return html`to the webhook ${settings.url}`;
  if (kind === "mail") return html`by mail to the members: <a href=${link("templates", settings.template)}>${settings.template}</a>`;
  return kind;
}

export const nameTopic = (name) => (name === "*" ? "all mails" : `mails of the topic ${name}`);

const REASONS = { bounced: "A mail bounced for good", complained: "Reported one as spam", unsubscribed: "Unsubscribed", manual: "Put on the list by hand" };
export const REASON_OPTIONS = [["", "any"], ...Object.entries(REASONS).map(([reason, words]) => [reason, words.toLowerCase()])];

// Why an address is on the list: "A mail bounced for good, says Amazon SES".
export function explainReason({ reason, source }) {
  const words = REASONS[reason] ?? reason;
  if (reason === "manual") return `${words}, by ${source}`;
  return source === "unsubscribe" ? `${words} by the link in one of our mails` : `${words}, says ${nameProvider(source)}`;
}
