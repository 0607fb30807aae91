// PostGraphile 4 with --live, over tables in a PostgreSQL that decodes its log, as its documentation sets it up.
//
// node server.mjs postgres://…

import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { enhanceHttpServerWithSubscriptions, makePluginHook, postgraphile } = require('postgraphile')
const { default: pubsub } = require('@graphile/pg-pubsub')
const { default: decoding } = require('@graphile/subscriptions-lds')

const [url] = process.argv.slice(2)
const middleware = postgraphile(url, 'shop', {
  live: true,
  subscriptions: true,
  ownerConnectionString: url,
  pluginHook: makePluginHook([pubsub]),
  appendPlugins: [decoding],
  graphiql: false,
  disableQueryLog: true,
  ignoreRBAC: true
})
const server = createServer(middleware)
server.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
enhanceHttpServerWithSubscriptions(server, middleware)
server.listen(0, '127.0.0.1', () => {
  console.log(`ready at http://127.0.0.1:${server.address().port}/`)
})
