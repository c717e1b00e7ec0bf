import express, { type RequestHandler } from 'express'
import { announce, type HeaderSet } from './ready.ts'
import { settings } from './settings.ts'

/**
 * An Express server with GET /me. `etag` and `x-powered-by` are off: neither is of use to an API, and the etag is a hash
 * of every reply.
 *
 * @param guard sets request.user
 * @param headers each is let in
 */
export function serveExpress(guard: RequestHandler, headers: readonly HeaderSet[]): void {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.get('/me', guard, (request, response) => {
    response.json(request.user)
  })
  app.listen(settings.port, '127.0.0.1', () => announce(headers))
}
