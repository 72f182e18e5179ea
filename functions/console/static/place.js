// Where one is: the part of the address behind "#", which browsers send to no server and no log sees.
// #/recipients/ada%40example.com?provider=sparkpost
import { useEffect, useState } from "./dom.js";

export function readPlace(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, ...rest] = path.split("/");
  const parameters = Object.fromEntries(new URLSearchParams(query));
  return { view, value: decode(rest.join("/")), parameters };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function link(view, value = "", parameters = {}) {
  const given = Object.entries(parameters).filter(([, text]) => text !== "" && text != null);
  const query = new URLSearchParams(given).toString();
  return `#/${view}${value ? `/${encodeURIComponent(value)}` : ""}${query ? `?${query}` : ""}`;
}

export function go(view, value, parameters) {
  location.hash = link(view, value, parameters);
}

// Changes what the place is narrowed by, without a step in the history for every letter.
export function narrow(changes) {
  const { view, value, parameters } = readPlace();
  history.replaceState(null, "", link(view, value, { ...parameters, ...changes }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function usePlace() {
  const [place, setPlace] = useState(readPlace);
  useEffect(() => {
    const follow = () => setPlace(readPlace());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return place;
}

// What someone on the phone reads out: an address, a message's id, or words.
export function classify(text) {
  const typed = text.trim();
  const address = typed.match(/<\s*([^\s<>]+@[^\s<>]+)\s*>$/)?.[1] ?? typed.replace(/^mailto:/i, "");
  if (/^[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]{2,}$/.test(address)) return ["recipients", address.toLowerCase()];
  if (/^(?=.*\d)[\w.+=:/-]{16,}$/.test(typed)) return ["messages", typed];
  return ["search", ""];
}
