import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { type ProblemCode, problemKinds } from '../../src/problem.ts'

/**
 * Asserts that an answer is a problem of that code in every respect that is the same for all.
 *
 * @param paths what errors[] names, in order; no errors[] unless it is given
 */
export function isProblem(
  t: Test,
  reply: LightMyRequestResponse,
  code: ProblemCode,
  paths?: readonly string[],
): void {
  const { status, title } = problemKinds[code]
  const { errors, detail, ...body } = reply.json()
  const type = `urn:latchkey:problem:${code}`
  t.equal(reply.statusCode, status, `answers ${status} for ${code}`)
  t.strictSame(body, { type, title, status, code, request_id: reply.headers['x-request-id'] })
  t.match(detail, /^[A-Z].*\.$/)
  t.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
  t.equal(reply.headers['cache-control'], 'no-store')
  t.strictSame(
    errors?.map(({ path }: { path: string }) => path),
    paths,
  )
}
