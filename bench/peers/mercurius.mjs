// Mercurius with JIT over objects in memory: what a Node server can do that reads nothing from a disk.
//
// node mercurius.mjs AUTHORS.ndjson BOOKS.ndjson

import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import mercurius from 'mercurius'

const read = (file) => readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
const [authors, books] = process.argv.slice(2).map(read)
const authorById = new Map(authors.map((author) => [author.id, author]))
const bookById = new Map(books.map((book) => [book.id, book]))

const schema = `
  type Query {
    book(id: ID!): Book
    books(first: Int!, offset: Int!): BookConnection!
  }
  type BookConnection { nodes: [Book!]! pageInfo: PageInfo! }
  type PageInfo { hasNextPage: Boolean! }
  type Book {
    id: ID! title: String isbn: String year: Int pages: Int price: Float language: String publisher: String
    inPrint: Boolean rating: Float author_id: String author: Author
  }
  type Author { id: ID! name: String country: String born: Int }
`

const resolvers = {
  Query: {
    book: (_, { id }) => bookById.get(id),
    books: (_, { first, offset }) => ({
      nodes: books.slice(offset, offset + first),
      pageInfo: { hasNextPage: offset + first < books.length }
    })
  },
  Book: { author: (book) => authorById.get(book.author_id) }
}

const app = Fastify({ logger: false })
app.register(mercurius, { schema, resolvers, jit: 1 })
await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`ready at http://127.0.0.1:${app.server.address().port}/`)
