import type { paths } from './api.ts'

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** Every endpoint, by its method and path: `GET /admin/accounts/{id}`. */
export type Route = {
  [Path in keyof paths]: {
    [M in Method]: paths[Path][M] extends { responses: unknown } ? `${Uppercase<M>} ${Path}` : never
  }[Method]
}[keyof paths]

type Operation<R extends Route> = R extends `${infer M} ${infer Path extends keyof paths}`
  ? paths[Path][Lowercase<M> & keyof paths[Path]]
  : never

type Given<Name extends string, Value> = [Value] extends [undefined]
  ? unknown
  : undefined extends Value
    ? { readonly [_ in Name]?: Value }
    : { readonly [_ in Name]: Value }

type PathOf<O> = O extends { parameters: { path: infer Path } } ? Path : undefined
type QueryOf<O> = O extends { parameters: { query?: infer Query } } ? Query | undefined : undefined
type BodyOf<O> = O extends { requestBody: { content: { 'application/json': infer Body } } }
  ? Body
  : O extends { requestBody?: { content: { 'application/json': infer Body } } }
    ? Body | undefined
    : undefined

/** What an endpoint takes: the parameters of its path and query, and its body. */
export type RouteOptions<R extends Route> = { readonly signal?: AbortSignal | undefined } & Given<
  'path',
  PathOf<Operation<R>>
> &
  Given<'query', QueryOf<Operation<R>>> &
  Given<'body', BodyOf<Operation<R>>>

/** They may be left out where none of them is needed. */
export type RouteArguments<R extends Route> =
  Record<never, never> extends RouteOptions<R> ? [options?: RouteOptions<R>] : [options: RouteOptions<R>]

type AnswerOf<Response> = Response extends { content: { 'application/json': infer Body } }
  ? Body
  : Response extends { content: infer Content }
    ? Content[keyof Content]
    : undefined

/** What an endpoint answers when all is well. */
export type RouteAnswer<R extends Route> =
  Operation<R> extends { responses: infer Responses }
    ? { [Status in keyof Responses & (200 | 201 | 204)]: AnswerOf<Responses[Status]> }[keyof Responses &
        (200 | 201 | 204)]
    : never
