import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { z } from 'zod'
import { createDocument, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi'
import { Problem, type ProblemCode, type ProblemKind, problemBody, problemKinds } from '../problem.ts'
import { ProblemBody } from './schemas.ts'
import type { Scope } from './validation.ts'

declare module 'fastify' {
  interface FastifySchema {
    operationId?: string
    summary?: string
    description?: string
    tags?: readonly string[]
    /** What an answer of success says. */
    success?: string
    /** Whether the route stands behind the guard. */
    guarded?: boolean
    /** Whether its refresh token may travel in a cookie. */
    cookieMode?: boolean
    /** Whether the answer may be a stream of events instead. */
    eventStream?: boolean
    /** Of what type the answer is; JSON unless it is given. */
    mediaType?: string
    /** What the route may answer besides success; what follows from its body and guard is added. */
    problems?: readonly ProblemCode[]
  }
}

const bodyProblems = [
  'invalid_request',
  'malformed_json',
  'request_timeout',
  'payload_too_large',
  'unsupported_media_type',
] as const
const guardProblems = [
  'invalid_request',
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
  'token_stale',
  'revocations_stale',
] as const

const allCodes = Object.keys(problemKinds) as ProblemCode[]

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
type Responses = Readonly<Record<string, z.ZodType>>

/**
 * Gathers every route that is registered after it. Each status that a route can answer gets a schema; what it
 * gathered becomes the OpenAPI document.
 *
 * @param version the version of the API
 * @returns a function that writes the OpenAPI 3.1 document, once all routes are there
 */
export function gatherOpenApi(app: FastifyInstance, version: string): () => object {
  const paths: ZodOpenApiPathsObject = {}
  const used = new Set<ProblemCode>()

  app.addHook('onRoute', (route) => {
    const { schema } = route
    if (schema?.operationId === undefined || route.method === 'HEAD') return
    const responses = schema.response as Responses
    const problems = problemsOf(route)
    for (const code of problems) used.add(code)
    schema.response = {
      ...responses,
      ...Object.fromEntries(problems.map((code) => [problemKinds[code].status, ProblemBody])),
    }
    const path = route.url.replace(/:(\w+)/g, '{$1}')
    paths[path] = {
      ...paths[path],
      [(route.method as string).toLowerCase() as Method]: operation(route, responses, problems),
    }
  })

  return () =>
    createDocument(
      {
        openapi: '3.1.1',
        info: {
          title: 'Latchkey',
          version,
          description:
            'One login, one signed token, and no lookup per request. JSON in snake_case, times in RFC 3339 UTC, ' +
            'durations in whole seconds. Whatever is no success is a problem (RFC 9457); its `code` is the stable part.',
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [{ url: '/', description: 'Where this document was fetched from.' }],
        tags: [
          { name: 'auth', description: 'Sign up, log in, refresh, log out.' },
          { name: 'me', description: 'What the access token says. No database.' },
          { name: 'account', description: 'Your own account and sessions.' },
          { name: 'admin', description: 'What an operator may do to accounts and sessions.' },
          { name: 'revocations', description: 'For services that verify tokens themselves.' },
          { name: 'health', description: 'For whatever watches over the service.' },
        ],
        components: {
          headers,
          examples: Object.fromEntries([...used].map((code) => [code, example(code)])),
          securitySchemes: {
            accessToken: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description: 'The access_token of a sign-up, login or refresh (RFC 6750 section 2.1).',
            },
          },
        },
        paths,
      },
      {
        // A reply may gain a field without breaking a client that is strict about what it knows.
        override: ({ jsonSchema, io }) => {
          if (io === 'output') delete jsonSchema.additionalProperties
        },
      },
    )
}

/** GET /openapi.json: the contract, as this node serves it. */
export function openApiRoute(scope: Scope, document: () => object): void {
  // As bytes every answer shares them: who asks often and reads slowly makes nothing grow.
  let bytes: Buffer | undefined
  scope.get('/openapi.json', (_request, reply) => {
    bytes ??= Buffer.from(JSON.stringify(document()))
    reply.type('application/json').send(bytes)
  })
}

function problemsOf({ schema }: RouteOptions): readonly ProblemCode[] {
  const codes = [
    ...(schema?.problems ?? []),
    ...(schema?.body === undefined ? [] : bodyProblems),
    ...(schema?.params === undefined && schema?.querystring === undefined
      ? []
      : (['invalid_request'] as const)),
    ...(schema?.guarded ? guardProblems : []),
    ...(schema?.cookieMode ? (['origin_not_allowed'] as const) : []),
    'headers_too_large',
    'internal_error',
  ] as const
  // In the order of the table, each once.
  return allCodes.filter((code) => codes.includes(code))
}

function operation({ schema = {} }: RouteOptions, responses: Responses, problems: readonly ProblemCode[]) {
  const {
    operationId = '',
    summary = '',
    description,
    tags = [],
    guarded,
    body,
    params,
    querystring,
    cookieMode = false,
  } = schema
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [...tags],
    security: guarded ? [{ accessToken: [] }] : [],
    ...(params === undefined && querystring === undefined && !cookieMode
      ? {}
      : { requestParams: parameters(params, querystring, cookieMode) }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !(body as z.ZodType).safeParse(undefined).success,
            content: { 'application/json': { schema: unwrapNullish(body as z.ZodType) } },
          },
        }),
    responses: { ...successes(responses, schema), ...failures(problems) },
  }
}

// A body that may be left out is nullish to zod; in the document it is a body that isn't required.
function unwrapNullish(schema: z.ZodType): z.ZodType {
  const { type } = schema.def
  return type === 'optional' || type === 'nullable'
    ? unwrapNullish((schema as z.ZodOptional<z.ZodType>).unwrap())
    : schema
}

function parameters(params: unknown, querystring: unknown, cookieMode: boolean) {
  return {
    ...(params === undefined ? {} : { path: params as z.ZodObject }),
    ...(querystring === undefined ? {} : { query: querystring as z.ZodObject }),
    ...(cookieMode ? { header: cookieHeader } : {}),
  }
}

function successes(
  responses: Responses,
  { success: description = '', mediaType = 'application/json', eventStream, cookieMode }: FastifySchema,
): ZodOpenApiResponsesObject {
  const stream = eventStream ? { 'text/event-stream': { schema: { type: 'string' } } as const } : {}
  return Object.fromEntries(
    Object.entries(responses).map(([status, schema]) => [
      status,
      {
        description,
        ...headersOf([
          ...(status === '201' ? (['Location'] as const) : []),
          ...(cookieMode ? (['Set-Cookie'] as const) : []),
        ]),
        ...(schema.def.type !== 'undefined' && { content: { [mediaType]: { schema }, ...stream } }),
      },
    ]),
  )
}

function failures(codes: readonly ProblemCode[]): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(codes, (code) => problemKinds[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.map((code) => `\`${code}\`: ${problemKinds[code].title}`).join('\n\n'),
        ...headersOf(codes.flatMap(headersWith)),
        content: {
          'application/problem+json': {
            schema: ProblemBody,
            examples: Object.fromEntries(
              codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
      },
    ]),
  )
}

const cookieHeader = z.object({
  'Latchkey-Transport': z.literal('cookie').optional().meta({
    description:
      'Needed where `transport` is `cookie`. It takes a preflight, so that no other page can send it.',
    example: 'cookie',
  }),
})

/** What an answer of the problem carries, as problem.ts and throttling/refusals.ts give it. */
function headersWith(code: ProblemCode): readonly HeaderName[] {
  if (code === 'too_many_attempts') return ['Retry-After', 'RateLimit-Policy', 'RateLimit']
  const { challenge, retryAfter }: ProblemKind = problemKinds[code]
  return [
    ...(challenge === undefined ? [] : (['WWW-Authenticate'] as const)),
    ...(retryAfter === undefined ? [] : (['Retry-After'] as const)),
  ]
}

function headersOf(names: readonly HeaderName[]) {
  if (names.length === 0) return {}
  return {
    headers: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
  }
}

type HeaderName = keyof typeof headers

const headers = {
  Location: {
    description: 'Where what was made is to be found.',
    schema: { type: 'string' },
    example: '/account',
  },
  'Set-Cookie': {
    description: 'The refresh token, or its removal, where `transport` is `cookie`.',
    schema: { type: 'string' },
    example: '__Host-latchkey=lkr_AZorPE1eX2CK...; Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=Strict',
  },
  'WWW-Authenticate': {
    description: 'What is asked for, and what is wrong with the token that was sent (RFC 6750 section 3).',
    schema: { type: 'string' },
    example: 'Bearer realm="latchkey"',
  },
  'Retry-After': {
    description: 'Seconds after which trying again makes sense.',
    schema: { type: 'integer', minimum: 1 },
    example: 8,
  },
  'RateLimit-Policy': {
    description: 'What was exceeded: its name, quota and window (draft-ietf-httpapi-ratelimit-headers).',
    schema: { type: 'string' },
    example: '"address";q=20;w=60',
  },
  RateLimit: {
    description: 'What is left of it, and the seconds until there is more.',
    schema: { type: 'string' },
    example: '"address";r=0;t=8',
  },
} as const

function example(code: ProblemCode) {
  return { value: problemBody(new Problem(code), '0d6f8a52-1f0c-4a39-9d0e-7f2b9a4c1e55') }
}
