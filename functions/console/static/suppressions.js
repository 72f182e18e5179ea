// Suppressions: which addresses must not be mailed, since when, and what caused it.
import { change, paths } from "./api.js";
import { html, useEffect, useRef, useState } from "./dom.js";
import { Entries, useList } from "./lists.js";
import { Heading, Select, Share, Text, Time, Trouble } from "./parts.js";
import { link, narrow } from "./place.js";
import { explainReason, may, nameTopic, REASON_OPTIONS, Views } from "./telling.js";

export function Suppressions({ view, parameters, session }) {
  const { address = "", reason = "", topic = "" } = parameters;
  const list = useList(paths.suppressions, { address, reason, topic });
  const [asked, setAsked] = useState(null);
  const [done, setDone] = useState("");
  const mayChange = may(session, "cohorts:write") && may(session, "pii:read"); // a masked address can't be named
  const close = (said = "") => {
    setAsked(null);
    setDone(said);
    if (!said) return;
    list.first.again();
    document.querySelector("main h1")?.focus({ preventScroll: true }); // the button that led here goes
  };
  const isListed = list.entries.some((entry) => !entry.removed_at);
  return html`<div class="title"><${Heading} title="Suppressions" /><span><${Share} /></span></div>
    <${Views} view=${view} />
    <p>Addresses that we do not mail: after a hard bounce, a complaint or an unsubscribe that any provider told of, or by hand.</p>
    <div class="filters" role="group" aria-label="Narrow the list">
      <${Text} label="Address" value=${address} onChange=${(one) => narrow({ address: one.toLowerCase() })} />
      <${Select} label="Why" value=${reason} options=${REASON_OPTIONS} onChange=${(one) => narrow({ reason: one })} />
      <${Text} label="Topic" value=${topic} onChange=${(one) => narrow({ topic: one })} />
      ${(address || reason || topic) && html`<button type="button" onClick=${() => narrow({ address: "", reason: "", topic: "" })}>Show all</button>`}
    </div>
    <p role="status">${done}</p>
    ${address && list.first.found && !reason && !topic && html`<p class=${`note ${isListed ? "bad" : ""}`}>
      <strong>${isListed ? "It is on the list." : "It is not on the list."}</strong>
      ${" "}<a href=${link("recipients", address)}>What became of mails to it</a></p>`}
    <${Entries} list=${list} what="suppressions" none=${reason || topic || !address ? "Nobody is on this list." : "It never was."}
      Entry=${Suppression} extra=${{ remove: mayChange && setAsked }} />
    ${asked && html`<${Confirm} entry=${asked} close=${close} />`}`;
}

function Suppression({ entry, remove }) {
  return html`<p><strong><a href=${link("recipients", entry.address)}>${entry.address}</a></strong>
      ${" "}<span class=${`badge ${entry.removed_at ? "plain" : "bad"}`}>${entry.removed_at ? "taken off" : "not mailed"}</span></p>
    <p class="about"><span>${nameTopic(entry.topic)}</span> <span>since <${Time} at=${entry.event_at ?? entry.at} /></span></p>
    <p class="reason">${explainReason(entry)}.${entry.event_key && html` <a href=${link("events", entry.event_key)}>See the event<span class="hidden"> of ${entry.address}</span></a>`}
      ${entry.delivery && html` <a href=${link("deliveries", entry.delivery)}>See the mail<span class="hidden"> to ${entry.address}</span></a>`}</p>
    ${entry.removed_at && html`<p class="about"><span>taken off by ${entry.removed_by}</span> <${Time} at=${entry.removed_at} /></p>`}
    ${!entry.removed_at && remove && html`<p><button type="button" class="small" onClick=${() => remove(entry)}>Take off the list<span class="hidden">: ${entry.address}, ${nameTopic(entry.topic)}</span></button></p>`}`;
}

function Confirm({ entry, close }) {
  const dialog = useRef(null);
  const said = useRef("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  useEffect(() => dialog.current.showModal(), []);
  const { address, topic } = entry;
  const remove = async () => {
    setBusy(true);
    try {
      await change("DELETE", paths.suppressions, { address, topic });
      said.current = `${address} was taken off the list for ${nameTopic(topic)}.`;
      dialog.current.close();
    } catch (problem) {
      setBusy(false);
      setFailure(problem);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby="confirm" onClose=${() => close(said.current)}>
    <h2 id="confirm">Take ${address} off the list?</h2>
    <p>${explainReason(entry)}. It may then get ${nameTopic(topic)} again, until something newer forbids it. Do this only if the person asked for it.</p>
    ${failure && html`<${Trouble} failure=${failure} />`}
    <p class="filters"><button type="button" onClick=${() => dialog.current.close()}>Keep it on the list</button>
      <button type="button" class="primary" disabled=${busy} onClick=${remove}>Take it off</button></p>
  </dialog>`;
}
