// Pieces that every view uses.
import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "./dom.js";
import { mood, shortWord, showLocal, showUtc, ZONE } from "./words.js";

export function Time({ at }) {
  if (!at) return html`<span class="faint">never</span>`;
  const instant = new Date(at);
  return html`<time dateTime=${at} title=${ZONE}>${showLocal(instant)}</time> <span class="utc">${showUtc(instant)}</span>`;
}

export function Badge({ type, children }) {
  return html`<span class=${`badge ${mood(type)}`}>${children ?? shortWord(type)}</span>`;
}

export function Copy({ text, what, label = `Copy ${what}`, hint = "" }) {
  const [done, setDone] = useState("");
  const copy = useCallback(async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone("Copied");
    } catch {
      setDone("Not allowed");
    }
    setTimeout(setDone, 2000, "");
  }, [text]);
  return html`<button type="button" class="small" onClick=${copy}>
    ${done || label}<span class="hidden"> ${hint}</span>
    <span class="hidden" role="status">${done && `${done}: ${what}`}</span>
  </button>`;
}

export function Share() {
  return html`<${Copy} text=${location.href} what="link" hint="to this view" />`;
}

// The view's heading: the focus goes here when one comes to it, so that a screen reader begins to read here.
export function Heading({ title, children }) {
  const place = useRef(null);
  useEffect(() => {
    document.title = `${title} – Mailwake`;
    const active = document.activeElement;
    const isTyping = active?.matches("input, select, textarea"); // whoever was quicker than the view keeps the box
    if (active === document.body || (!isTyping && active?.closest("main, header nav, search"))) {
      place.current?.focus({ preventScroll: true });
    }
  }, [title]);
  return html`<h1 ref=${place} tabIndex="-1">${children ?? title}</h1>`;
}

// Loads something whenever `key` changes: { found, failure, loading, again }.
export function useLoaded(load, key) {
  const [state, setState] = useState({ key: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ key, loading: true, found: before.key === key ? before.found : undefined }));
    load(stop.signal).then(
      (found) => stop.signal.aborted || setState({ key, found }),
      (failure) => stop.signal.aborted || setState({ key, failure }),
    );
    return () => stop.abort();
  }, [key, round]);
  const current = state.key === key ? state : { loading: true };
  return { ...current, again: () => setRound(round + 1) };
}

export function Loading({ what }) {
  return html`<p class="loading" role="status">Loading ${what} …</p>`;
}

export function Trouble({ failure, again }) {
  return html`<div class="note bad" role="alert">
    <p><strong>${failure.message}</strong></p>
    ${failure.advice && html`<p>${failure.advice}</p>`}
    ${again && html`<p><button type="button" onClick=${again}>Try again</button></p>`}
  </div>`;
}

export function Nothing({ title, children }) {
  return html`<div class="note"><p><strong>${title}</strong></p>${children}</div>`;
}

export function Facts({ rows }) {
  return html`<dl class="facts">
    ${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(
      ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`,
    )}
  </dl>`;
}

export function Select({ label, value, options, onChange }) {
  return html`<label>${label}
    <select value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select>
  </label>`;
}

export function Day({ label, value, onChange }) {
  return html`<label>${label}
    <input type="date" value=${value ?? ""} onChange=${(event) => onChange(event.currentTarget.value)} />
  </label>`;
}

// What is typed stays while the view around it changes; `onChange` gets it when the field is left, or on Enter.
export function Text({ label, value, onChange, placeholder }) {
  const [typed, setTyped] = useState(value);
  useLayoutEffect(() => setTyped(value), [value]);
  return html`<label>${label}
    <input type="text" value=${typed} placeholder=${placeholder} autocomplete="off" autocapitalize="none" spellcheck=${false}
      onInput=${(event) => setTyped(event.currentTarget.value)} onChange=${(event) => onChange(event.currentTarget.value.trim())} />
  </label>`;
}
