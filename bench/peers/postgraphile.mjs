// PostGraphile 5 over tables in PostgreSQL, as its documentation sets it up for Node's own HTTP server.
//
// node postgraphile.mjs postgres://…

import { createServer } from 'node:http'
import { grafserv } from 'postgraphile/grafserv/node'
import { makePgService } from 'postgraphile/adaptors/pg'
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'
import { postgraphile } from 'postgraphile'

const [url] = process.argv.slice(2)
const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: url, schemas: ['library'], pubsub: false })],
  grafserv: { graphiql: false, watch: false },
  grafast: { explain: false }
}
const instance = postgraphile(preset)
const server = createServer()
server.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
await instance.createServ(grafserv).addTo(server)
server.listen(0, '127.0.0.1', () => {
  console.log(`ready at http://127.0.0.1:${server.address().port}/`)
})
