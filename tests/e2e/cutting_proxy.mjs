// A network that breaks: a TCP proxy that cuts its connections off, also in the middle of a message.

import { connect, createServer } from "node:net";

/** Passes connections on to `origin`, which can be changed. */
export async function startProxy(origin) {
  let target = new URL(origin);
  let cuts = 0;
  const open = new Set();

  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const link = {
      /** How many bytes more come through before it is cut; all, unless somebody says so. */
      left: Infinity,
      cut() {
        if (!open.delete(link)) return;
        near.destroy();
        far.destroy();
      },
    };
    open.add(link);
    for (const socket of [near, far]) {
      socket.setNoDelay();
      // Whatever becomes of one side becomes of the other.
      socket.on("error", link.cut);
      socket.on("close", link.cut);
    }
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => {
      if (bytes.length <= link.left) {
        link.left -= bytes.length;
        near.write(bytes);
        return;
      }
      // What has been written reaches the client before the end.
      near.end(bytes.subarray(0, link.left));
      link.left = 0;
      far.destroy();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${server.address().port}`;

  return {
    graphqlUrl: `http://${host}/graphql`,
    webSocketUrl: `ws://${host}/graphql`,
    get cuts() {
      return cuts;
    },
    retarget: (origin) => (target = new URL(origin)),
    /** Cuts connections, each or a part of them, now or after some bytes more. */
    cut(bytes = 0, isChosen = () => true) {
      for (const link of [...open].filter(isChosen)) {
        cuts += 1;
        if (bytes === 0) link.cut();
        else link.left = bytes;
      }
    },
    async stop() {
      for (const link of [...open]) link.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
