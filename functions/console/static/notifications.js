// Notifications: who is told of which cohort, and how; what waits, and what became of it.
import { ask, paths } from "./api.js";
import { Narrowed } from "./deliveries.js";
import { html } from "./dom.js";
import { Effect } from "./effect.js";
import { Entries, useList } from "./lists.js";
import { Facts, Heading, Loading, Nothing, Share, Time, Trouble, useLoaded } from "./parts.js";
import { link } from "./place.js";
import { Channel, Views } from "./telling.js";
import { count, percent, plural } from "./words.js";

// What a mail waits for.
const WAITS = {
  quiet: "for quiet hours to end",
  capped: "as they get as many mails as they may",
  paused: "as mails to members are paused",
  template: "for the template, which there is not",
  turn: "for their turn",
};
const PAUSES = { by_hand: "by hand", bounces: "too many mails bounced", complaints: "too many mails were reported as spam" };
const SENDS = { entered: "enters", exited: "leaves" };
const isMail = ({ definition }) => "mail" in definition.channel;

export function Notifications({ view, value: name, parameters }) {
  return name ? html`<${One} name=${name} view=${view} parameters=${parameters} />` : html`<${List} view=${view} />`;
}

function List({ view }) {
  const { found, failure, again } = useLoaded(loadAll, "notifications");
  return html`<div class="title"><${Heading} title="Notifications" /><span><${Share} /></span></div>
    <${Views} view=${view} />
    <p>Who is told when somebody enters or leaves a cohort.</p>
    ${found?.paused && html`<${Pause} paused=${found.paused} />`}
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />`
      : !found ? html`<${Loading} what="notifications" />`
      : !found.all.length ? html`<${Nothing} title="Nobody is told of anything yet."><p>A notification is saved by the API: <code>PUT /api/v1/notifications/NAME</code>.</p></${Nothing}>`
      : html`<ol class="results">${found.all.map((each) => html`<li key=${each.name}>
          <p><strong><a href=${link("notifications", each.name)}>${each.name}</a></strong> <${Channel} channel=${each.definition.channel} /></p>
          <p class="about"><span>${describeWhen(each)} <a href=${link("cohorts", each.cohort)}>${each.cohort}</a></span>
            <span>last sent <${Time} at=${each.last_sent_at} /></span></p>
          ${describeWaiting(each.waiting).map((words) => html`<p key=${words} class="reason">${words}</p>`)}
        </li>`)}</ol>`}`;
}

const describeWhen = ({ definition }) => `when somebody ${definition.on.map((one) => SENDS[one]).join(" or ")}`;

// `{"quiet": 3, …}` as sentences.
function describeWaiting(waiting) {
  return Object.entries(waiting ?? {}).filter(([, number]) => number > 0)
    .map(([reason, number]) => `${plural(number, "mail waits", "mails wait")} ${WAITS[reason] ?? reason}.`);
}

async function loadAll(signal) {
  const [{ results: all }, { results: mail }] = await Promise.all([ask(paths.notifications, {}, signal), ask(paths.mail, {}, signal)]);
  return { all, paused: mail.paused };
}

function Pause({ paused }) {
  const bad = paused.bounces ?? paused.complaints;
  const share = paused.mails ? `: ${count(bad)} of the last ${count(paused.mails)} (${percent(bad / paused.mails)})` : "";
  return html`<p class="note warn"><strong>Mails to members are paused</strong> since <${Time} at=${paused.began_at} />,
    ${" "}${PAUSES[paused.reason] ?? paused.reason}${paused.by && ` (${paused.by})`}${share}. They wait until somebody ends the pause.</p>`;
}

function One({ name, view, parameters }) {
  const { found, failure, again } = useLoaded((signal) => ask(paths.notification(name), {}, signal), name);
  const heading = html`<div class="title"><${Heading} title=${name} /><span><${Share} /></span></div><${Views} view=${view} />`;
  if (failure?.status === 404) {
    return html`${heading}<${Nothing} title="There is no such notification."><p>Look through <a href="#/notifications">all of them</a>, or at <a href=${link("deliveries", "", { notification: name })}>its deliveries</a>.</p></${Nothing}>`;
  }
  if (failure) return html`${heading}<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`${heading}<${Loading} what="the notification" />`;
  const notification = found.results;
  return html`${heading}
    <${Standing} notification=${notification} />
    <section aria-labelledby="definition"><h2 id="definition">Definition</h2>
      <pre tabIndex="0" aria-labelledby="definition"><code>${JSON.stringify(notification.definition, null, 2)}</code></pre></section>
    ${isMail(notification) && html`<${Waiting} name=${name} /><${Effect} of="notification" name=${name} parameters=${parameters} />`}
    <section aria-labelledby="deliveries"><h2 id="deliveries">Deliveries</h2>
      <${Narrowed} parameters=${parameters} notification=${name} /></section>`;
}

function Waiting({ name }) {
  const list = useList(paths.waiting, { notification: name });
  return html`<section aria-labelledby="waiting"><h2 id="waiting">Who waits</h2>
    <${Entries} list=${list} what="mails that wait" none="Nobody waits for a mail." Entry=${Waiter} /></section>`;
}

function Waiter({ entry }) {
  const [first] = entry.identities;
  const address = entry.identities.find(({ type }) => type === "address")?.value;
  return html`<p><strong>${first?.value ?? "somebody"}</strong> ${address && address !== first.value && html`· <a href=${link("recipients", address)}>${address}</a>`}</p>
    <p class="about"><span>due since <${Time} at=${entry.due_at} /></span> <span>waits ${WAITS[entry.reason] ?? entry.reason}</span>
      ${entry.until && html`<span>until <${Time} at=${entry.until} /></span>`}</p>`;
}

function Standing({ notification }) {
  const { definition } = notification;
  return html`<section class="standing good" aria-labelledby="standing">
    <h2 id="standing"><${Channel} channel=${definition.channel} /></h2>
    <${Facts} rows=${[
      ["Tells", html`${describeWhen(notification)} <a href=${link("cohorts", notification.cohort)}>${notification.cohort}</a>`],
      ["Collects changes for", isMail(notification) ? null : definition.period ?? "15 minutes"],
      ["Looked at up to", html`<${Time} at=${notification.period_began} />`],
      ["Last sent", html`<${Time} at=${notification.last_sent_at} />`],
      ["Made by", notification.created_by],
      ["Made", html`<${Time} at=${notification.created_at} />`],
    ]} />
    ${describeWaiting(notification.waiting).map((words) => html`<p key=${words}>${words}</p>`)}
  </section>`;
}
