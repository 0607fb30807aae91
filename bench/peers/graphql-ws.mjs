// graphql-ws as its documentation sets it up: a subscription that follows what is posted to /graphql.
//
// node graphql-ws.mjs

import { createServer } from 'node:http'
import { buildSchema } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'

const schema = buildSchema(`
  type Query { item(id: ID!): Item }
  type Subscription { item(id: ID!): Item }
  type Item { id: ID! name: String quantity: Int }
`)

/** Who waits for the next item: each subscription has one place here, or is at work on the last one. */
let waiting = []
let item = { id: 'item-0000000', name: 'Item 0', quantity: 0 }

const publish = (quantity) => {
  item = { ...item, quantity }
  const woken = waiting
  waiting = []
  for (const wake of woken) wake()
}

async function * follow () {
  while (true) {
    yield { item }
    await new Promise((resolve) => waiting.push(resolve))
  }
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (chunk) => { body += chunk })
  request.on('end', () => {
    publish(JSON.parse(body).quantity)
    const answer = '{"data":{"updateItem":{"id":"item-0000000"}}}'
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    response.end(answer)
  })
})
useServer({ schema, roots: { subscription: { item: follow } } }, new WebSocketServer({ server, path: '/graphql' }))
// Ten thousand sockets are opened in little time.
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`ready at http://127.0.0.1:${server.address().port}/`)
})
