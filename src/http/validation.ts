import { isUtf8 } from 'node:buffer'
import fastJson from 'fast-json-stringify'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import { z } from 'zod'
import { Problem } from '../problem.ts'

/** Tells TypeScript what a route's zod schemas let in and out. */
export interface ZodTypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown
}

/** A part of the app in which routes are typed by their schemas. */
export type Scope = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

/**
 * Makes zod the judge of what comes in, and the shape of what goes out. Replies are written by fast-json-stringify,
 * compiled once from the schema: no zod runs when one is sent, and a field that the schema doesn't name stays here.
 */
export function useZod(app: FastifyInstance): void {
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (input) => {
    const result = schema.safeParse(input)
    if (result.success) return { value: result.data }
    const errors = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
    return { error: new Problem('invalid_request', { errors }) }
  })

  app.setSerializerCompiler<z.ZodType>(({ schema }) => {
    const known = serializers.get(schema)
    if (known !== undefined) return known
    const serializer = compile(schema)
    serializers.set(schema, serializer)
    return serializer
  })
}

type Serializer = ReturnType<typeof fastJson>

// A problem's schema stands at hundreds of places: it is compiled once, which is most of the start.
const serializers = new WeakMap<z.ZodType, Serializer>()

function compile(schema: z.ZodType): Serializer {
  // An empty registry keeps ids, which are for the OpenAPI document, out of it.
  const options = {
    target: 'draft-7',
    metadata: z.registry<{ id?: string }>(),
    unrepresentable: 'any',
  } as const
  const jsonSchema = z.toJSONSchema(schema, options)
  return fastJson(jsonSchema as fastJson.AnySchema)
}

/**
 * Reads application/json, and nothing else, as UTF-8. Node would read broken UTF-8 as replacement characters; an
 * empty body is no body, whatever its type.
 */
export function readJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0 || request.is404) return done(null, undefined)
    if (!isUtf8(body)) return done(new Problem('malformed_json'))
    return parse(request, body.toString('utf8'), done)
  })
  app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (request, body, done) => {
    done(body.length === 0 || request.is404 ? null : new Problem('unsupported_media_type'))
  })
}
