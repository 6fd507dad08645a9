import type { FastifyInstance } from 'fastify'
import { GUID, object, text } from '../schemas.ts'
import { sessionRoutes } from './session-routes.ts'

const params = object({ guid: GUID }, 'guid')
const PAGE = { current: text(16), pageSize: text(16) }
/** Clients read by POST, scripts by GET. */
const READ: ['GET', 'POST'] = ['GET', 'POST']

/** Address books: one document of old clients, and books with entries and tags. */
export function addressBookRoutes(app: FastifyInstance): void {
  sessionRoutes(app, 'address book', [
    { method: ['GET', 'POST'], url: '/api/ab', summary: 'Reads or replaces the book as one document.' },
    { method: 'POST', url: '/api/ab/get', summary: 'Reads the book as one document.' },
    { method: READ, url: '/api/ab/personal', summary: 'Names the personal book.' },
    { method: READ, url: '/api/ab/settings', summary: 'Limits of books.' },
    {
      ...{ method: READ, url: '/api/ab/shared/profiles', summary: 'Shared books.' },
      schema: { querystring: object({ ...PAGE, name: text(255) }) },
    },
    {
      ...{ method: READ, url: '/api/ab/peers', summary: 'Entries of a book.' },
      schema: { querystring: object({ ...PAGE, ab: GUID, id: text(255), alias: text(255) }) },
    },
    { method: READ, url: '/api/ab/tags/:guid', summary: 'Tags of a book.', schema: { params } },
    { method: 'POST', url: '/api/ab/peer/add/:guid', summary: 'Adds an entry.', schema: { params } },
    { method: 'PUT', url: '/api/ab/peer/update/:guid', summary: 'Changes an entry.', schema: { params } },
    { method: 'DELETE', url: '/api/ab/peer/:guid', summary: 'Deletes entries.', schema: { params } },
    { method: 'POST', url: '/api/ab/tag/add/:guid', summary: 'Adds a tag.', schema: { params } },
    { method: 'PUT', url: '/api/ab/tag/rename/:guid', summary: 'Renames a tag.', schema: { params } },
    { method: 'PUT', url: '/api/ab/tag/update/:guid', summary: 'Changes the colour of a tag.', schema: { params } },
    { method: 'DELETE', url: '/api/ab/tag/:guid', summary: 'Deletes tags.', schema: { params } },
  ])
}
