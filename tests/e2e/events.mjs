// The events of one subscription as a queue: a test waits for the next one, and fails when it does not come.

const WAIT_MS = 10_000;

export class Events {
  #received = [];
  #waiting = null;
  #stop;
  #taken = 0;

  /** `start(observer)` begins the subscription and returns the function that ends it. */
  constructor(start) {
    this.#stop = start({
      next: (value) => this.#push({ value }),
      error: (error) => this.#push({ error }),
      complete: () => this.#push({ complete: true }),
    });
  }

  /** How many events have come in all, those not yet taken included. */
  get count() {
    return this.#taken + this.#received.length;
  }

  /** The next result; an error of the subscription is thrown. */
  async next() {
    const event = await this.#event();
    if (event.error) throw event.error;
    if (event.complete) throw new Error("the subscription completed where an event was expected");
    return event.value;
  }

  /** The next result that holds `expected(result)`, because a live query may skip intermediate states. */
  async until(expected) {
    for (;;) {
      const result = await this.next();
      if (expected(result)) return result;
    }
  }

  /** Resolves when the server ends the subscription by itself. */
  async completed() {
    const event = await this.#event();
    if (!event.complete) throw new Error(`expected the end, got ${JSON.stringify(event)}`);
  }

  stop() {
    this.#stop();
  }

  #push(event) {
    this.#received.push(event);
    this.#waiting?.();
  }

  async #event() {
    if (this.#received.length === 0) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no event within ${WAIT_MS} ms`)), WAIT_MS);
        this.#waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#waiting = null;
    }
    this.#taken += 1;
    return this.#received.shift();
  }
}
