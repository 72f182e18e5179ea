// Days in the reader's zone.

// A midnight, so many days before today's.
export function findMidnight(days) {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - days).toISOString();
}

// The last days up to today, as the API writes them.
export function listDays(number) {
  const now = new Date();
  return Array.from({ length: number }, (_, index) => {
    const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() - number + 1 + index, 12);
    return [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  });
}

export const RANGES = [["7", "the last 7 days"], ["30", "the last 30 days"], ["90", "the last 90 days"], ["365", "the last year"]];
