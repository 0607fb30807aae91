// Randomness from a seed, so that a failure is repeated by `THALWEG_SEED=… node --test oracle.test.mjs`.

/** The seed of this run: what `THALWEG_SEED` says, else a new one. */
export function seedOfRun() {
  const given = process.env.THALWEG_SEED;
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given) >>> 0;
}

/** mulberry32: 32 bits of state, and as good as a test needs. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to `bound - 1`. */
  below(bound) {
    return Math.floor(this.next() * bound);
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  /** Up to `count` different items, at least one if there is any. */
  some(items, count) {
    const rest = [...items];
    const picked = [];
    for (let left = Math.min(rest.length, 1 + this.below(count)); left > 0; left -= 1) {
      picked.push(...rest.splice(this.below(rest.length), 1));
    }
    return picked;
  }
}
