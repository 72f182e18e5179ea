// Plain words for what the API says, and times for people.
const EVENTS = {
  injected: "Accepted by the provider",
  delivered: "Delivered to the receiving server",
  deferred: "Put off by the receiving server; the provider tries again",
  bounced: "Bounced",
  rejected: "Refused by the provider, not sent",
  failed: "Could not be made by the provider, not sent",
  opened: "Opened",
  clicked: "Clicked a link",
  complained: "Reported as spam",
  unsubscribed: "Unsubscribed",
  subscribed: "Subscribed again",
  autoresponded: "Answered by a robot, such as an out-of-office note",
  unknown: "Something else",
};
const BOUNCES = {
  hard: "Bounced for good",
  soft: "Bounced for now",
  block: "Blocked by the receiving server",
  admin: "Refused by configuration",
  undetermined: "Bounced",
};
const SHORT = {
  injected: "accepted",
  delivered: "delivered",
  deferred: "put off",
  bounced: "bounced",
  rejected: "refused",
  failed: "failed",
  opened: "opened",
  clicked: "clicked",
  complained: "complaint",
  unsubscribed: "unsubscribed",
  subscribed: "subscribed",
  autoresponded: "answered by a robot",
  unknown: "other",
};
const MOODS = {
  delivered: "good", opened: "good", clicked: "good", subscribed: "good", autoresponded: "good",
  bounced: "bad", rejected: "bad", failed: "bad", complained: "bad",
  deferred: "warn", unsubscribed: "warn",
};
const PROVIDERS = {
  amazon_ses: "Amazon SES", customerio: "Customer.io", elastic_email: "Elastic Email", jangomail: "JangoMail",
  mailersend: "MailerSend", mailgun: "Mailgun", mailpace: "MailPace", sendgrid: "SendGrid", smtp_com: "SMTP.com",
  sparkpost: "SparkPost", unisender_go: "Unisender Go", zeptomail: "ZeptoMail",
};

export const EVENT_TYPES = Object.keys(SHORT);
export const shortWord = (type) => SHORT[type] ?? type;
export const mood = (type) => MOODS[type] ?? "plain";

export function nameProvider(provider) {
  const plain = String(provider ?? "");
  return PROVIDERS[plain] ?? plain.charAt(0).toUpperCase() + plain.slice(1).replaceAll("_", " ");
}

export function describe(event) {
  if (event.event_type === "bounced") return BOUNCES[event.bounce_kind] ?? EVENTS.bounced;
  if (event.event_type === "opened" && event.machine_open) return "Opened by a machine, such as a privacy proxy";
  if (event.event_type === "unknown") return `${nameProvider(event.provider)} says: ${event.provider_type}`;
  return EVENTS[event.event_type] ?? event.event_type;
}

// What an event has to say beside its kind.
export function explain(event) {
  return [event.raw_reason ?? event.reason, event.target_link_url, event.event_type === "opened" && event.user_agent]
    .filter(Boolean)
    .map(String);
}

const LOCAL = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export const showLocal = (instant) => LOCAL.format(instant);
export const showDay = (instant) => DAY.format(instant);

// The same instant in UTC; its date only where it is another than the reader's.
export function showUtc(instant) {
  const text = instant.toISOString();
  const own = [instant.getFullYear(), instant.getMonth(), instant.getDate()].join();
  const utc = [instant.getUTCFullYear(), instant.getUTCMonth(), instant.getUTCDate()].join();
  return `${own === utc ? "" : `${text.slice(0, 10)} `}${text.slice(11, 19)} UTC`;
}

export function showAgo(instant) {
  const seconds = Math.round((Date.now() - instant) / 1000);
  const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([each]) => seconds >= each) ?? [1, ""];
  if (!unit) return "just now";
  const number = Math.floor(seconds / size);
  return `${number} ${unit}${number === 1 ? "" : "s"} ago`;
}

export const count = (number) => number.toLocaleString("en-GB");
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function percent(rate, digits = 2) {
  return rate == null ? "–" : `${(rate * 100).toFixed(digits)} %`;
}

// The beginning of a day in the reader's zone, or of the one after it, as the API takes it.
export function dayToInstant(day, after = 0) {
  const [year, month, date] = (day || "").split("-").map(Number);
  if (!year || !month || !date) return "";
  const instant = new Date(year, month - 1, date + after);
  return Number.isNaN(instant.valueOf()) ? "" : instant.toISOString();
}
