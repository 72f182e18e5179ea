// Lists whose pages follow each other.
import { ask } from "./api.js";
import { html, useState } from "./dom.js";
import { Loading, Nothing, Trouble, useLoaded } from "./parts.js";

export function useList(path, parameters) {
  const key = JSON.stringify([path, parameters]);
  const first = useLoaded((signal) => ask(path, parameters, signal), key);
  const [kept, setMore] = useState({ key: null, pages: [] });
  const more = kept.key === key ? kept : { key, pages: [] };
  const pages = first.found ? [first.found, ...more.pages] : [];
  const next = pages.at(-1)?.links.next;
  const loadMore = async () => {
    setMore({ key, pages: more.pages, busy: true });
    try {
      setMore({ key, pages: [...more.pages, await ask(next)] });
    } catch (failure) {
      setMore({ key, pages: more.pages, failure });
    }
  };
  return { first, next, loadMore, busy: more.busy, failure: more.failure, entries: pages.flatMap((page) => page.results) };
}

// Each entry is shown by `Entry`, which gets it as `entry`, and `extra` beside it.
export function Entries({ list, what, none, Entry, extra }) {
  if (list.first.failure) return html`<${Trouble} failure=${list.first.failure} again=${list.first.again} />`;
  if (!list.first.found) return html`<${Loading} what=${what} />`;
  if (!list.entries.length) return html`<${Nothing} title=${none} />`;
  return html`<ol class="results">${list.entries.map((entry, number) => html`<li key=${number}><${Entry} entry=${entry} ...${extra} /></li>`)}</ol>
    ${list.failure && html`<${Trouble} failure=${list.failure} />`}
    ${list.next && html`<p><button type="button" disabled=${list.busy} onClick=${list.loadMore}>Load more ${what}</button></p>`}`;
}
