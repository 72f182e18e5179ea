// Who is signed in, and until when. A session that nobody uses ends, and so does this page's show of it.
import { useEffect, useState } from "./dom.js";

const URL = "/console/session";
const PLACE = "place"; // where one was, kept while one signs in again, in this tab only
const RENEW_MS = 60_000;
const WARN_MS = 60_000;
const TICK_MS = 1_000;

let endsAt = Infinity;
let expiresAt = Infinity;
let leaving = false;

// To the sign-in, from where one comes back to this place.
export function leave(reason = expiresAt <= Date.now() ? "expired" : endsAt <= Date.now() ? "idle" : "") {
  if (leaving) return;
  leaving = true;
  sessionStorage.setItem(PLACE, location.hash);
  document.getElementById("app").hidden = true;
  location.replace(`/console/sign-in${reason ? `?reason=${reason}` : ""}`);
}

export function comeBack() {
  const place = sessionStorage.getItem(PLACE);
  sessionStorage.removeItem(PLACE);
  if (place && !location.hash) history.replaceState(null, "", place);
}

async function check(method) {
  let response;
  try {
    response = await fetch(URL, { method, cache: "no-store" });
  } catch {
    return null; // offline for a moment
  }
  if (response.status === 204) {
    leave();
    return null;
  }
  if (!response.ok) return null;
  const session = await response.json();
  endsAt = Date.now() + session.ends_in * 1000;
  expiresAt = Date.now() + session.expires_in * 1000;
  return session;
}

// The session (null: not known yet, `isUnknown`: it can't be had), and whether it is about to end.
export function useSession() {
  const [session, setSession] = useState(null);
  const [ending, setEnding] = useState(false);
  useEffect(() => {
    let used = false;
    let renewed = Date.now();
    const use = () => (used = true);
    const renew = async () => {
      [used, renewed] = [false, Date.now()];
      await check("POST");
    };
    const tick = () => {
      if (Date.now() >= endsAt) leave();
      else if (used && (Date.now() - renewed > RENEW_MS || endsAt - Date.now() < WARN_MS)) renew();
      setEnding(endsAt - Date.now() < WARN_MS);
    };
    const show = (event) => event.persisted && check("GET");
    check("GET").then((found) => setSession(found ?? (leaving ? null : { isUnknown: true })));
    const timer = setInterval(tick, TICK_MS);
    for (const name of ["pointerdown", "keydown", "wheel"]) addEventListener(name, use, { passive: true });
    addEventListener("pageshow", show);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      for (const name of ["pointerdown", "keydown", "wheel"]) removeEventListener(name, use);
      removeEventListener("pageshow", show);
      document.removeEventListener("visibilitychange", tick);
    };
  }, []);
  return { session, ending };
}
