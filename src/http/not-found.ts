import type { FastifyInstance } from 'fastify'
import FindMyWay from 'find-my-way'
import { Problem } from '../problem.ts'

/**
 * Answers what no route takes: 405 with Allow where the path has other methods (RFC 9110 section 15.5.6), else 404.
 * It gathers every route that is registered after it.
 */
export function answerNotFound(app: FastifyInstance): void {
  const router = FindMyWay()
  const methods = new Map<string, Set<string>>()

  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url)
    if (known === undefined) {
      const first = new Set<string>()
      methods.set(url, first)
      router.on('GET', url, () => first)
    }
    for (const name of [method].flat()) methods.get(url)?.add(name)
  })

  app.setNotFoundHandler((request) => {
    const route = router.find('GET', request.url.split('?', 1)[0] as string)
    if (route === null) throw new Problem('not_found')
    const allowed = route.handler as unknown as () => Set<string>
    throw new Problem('method_not_allowed', { headers: { allow: [...allowed()].sort().join(', ') } })
  })
}
