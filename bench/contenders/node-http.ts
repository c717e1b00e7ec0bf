/**
 * Node's own HTTP server with nothing in front of it: what a reply costs at the least. Unguarded; the headers are those
 * of the JWT contenders, so that as many bytes are read.
 */

import { createServer } from 'node:http'
import { newClaims } from './shared/claims.ts'
import { announce } from './shared/ready.ts'
import { settings } from './shared/settings.ts'
import { tokenHeaders } from './shared/tokens.ts'

const claims = newClaims()

const server = createServer((request, response) => {
  if (request.method !== 'GET' || request.url !== '/me') {
    response.writeHead(404).end()
    return
  }
  const body = JSON.stringify(claims)
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
})

server.listen(settings.port, '127.0.0.1', () => announce(tokenHeaders()))
