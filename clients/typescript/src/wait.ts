// How long to wait before a server is asked again.

const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/** Between the half and the whole of twice as long as the time before, so that not all clients come back at once. */
export function waitMs(attempt: number, random: number): number {
  const most = Math.min(FIRST_MS * 2 ** attempt, LONGEST_MS);
  return Math.round(most * (0.5 + random / 2));
}

export function pause(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, waitMs(attempt, Math.random())));
}
