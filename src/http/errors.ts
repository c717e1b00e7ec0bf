import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Problem, type ProblemCode, problemBody } from '../problem.ts'
import { isRefused } from './framing.ts'
import { noPage, replyHeaders } from './requests.ts'

const CONTENT_TYPE = 'application/problem+json'

/** The one place that answers what went wrong: every error becomes RFC 9457 problem+json. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error)
  // What broke is for the log alone, where the request's id leads to it. That there is too much to do broke nothing.
  if (problem.kind.status >= 500 && problem.cause !== undefined) {
    request.log.error({ err: problem.cause, code: problem.code }, problem.message)
  }
  // A path that is no path reaches no hook: what every answer carries is set here too.
  const headers = { ...problem.headers, ...replyHeaders, ...noPage, 'x-request-id': request.id }
  return reply
    .code(problem.kind.status)
    .headers(headers)
    .type(CONTENT_TYPE)
    .send(problemBody(problem, request.id))
}

/**
 * Answers what Node's parser refused before there was a request: headers that are too large, a request that took too
 * long, bytes that are no HTTP. The socket is closed after it.
 *
 * @returns what was answered; undefined where nobody was there to hear it
 */
export function handleClientError(error: ConnectionError, socket: Socket): Problem | undefined {
  if (isRefused(socket)) return undefined
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return undefined
  }
  const problem = new Problem(parserProblems[error.code] ?? 'invalid_request')
  const { status } = problem.kind
  const requestId = randomUUID()
  const body = JSON.stringify(problemBody(problem, requestId))
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `Content-Type: ${CONTENT_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      ...Object.entries({ ...replyHeaders, ...noPage }).map(([name, value]) => `${name}: ${value}`),
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
  return problem
}

const parserProblems: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

// Fastify's own errors that say more than their status.
const fastifyProblems: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
}

/** By which problem an error is answered. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const { code = '', statusCode = 500 } = error as Partial<FastifyError>
  const known = fastifyProblems[code]
  if (known !== undefined) return new Problem(known)
  return new Problem(statusCode >= 400 && statusCode < 500 ? 'invalid_request' : 'internal_error', {
    cause: error,
  })
}
