// What both services verify with, from their environment.
import { env } from 'node:process'
import { createVerifier } from '../../../src/verifiers/verifier.ts'

export const verify = createVerifier({
  secret: env.SECRET as string,
  issuer: 'http://localhost:3000',
  audience: 'latchkey',
  feed: {
    url: env.LATCHKEY as string,
    credential: env.CREDENTIAL as string,
    onError: ({ message }) => console.log(message),
    onConnect: () => console.log('connected'),
  },
  ...(env.MAX_STALENESS && { maxStaleness: Number(env.MAX_STALENESS) }),
})
