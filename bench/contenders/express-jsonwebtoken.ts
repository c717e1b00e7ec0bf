/**
 * Express 5 with jsonwebtoken: its synchronous verify() with a KeyObject made once, since from a string or Buffer it
 * would make one for each token. HS256, issuer and audience are checked.
 */

import jwt from 'jsonwebtoken'
import { serveExpress } from './shared/express.ts'
import { bearerToken, key, tokenHeaders, verifyOptions } from './shared/tokens.ts'

serveExpress((request, response, next) => {
  const token = bearerToken(request.headers.authorization)
  if (token === undefined) {
    response.status(401).json({ error: 'Unauthorized' })
    return
  }
  try {
    request.user = jwt.verify(token, key, verifyOptions) as jwt.JwtPayload
  } catch {
    response.status(401).json({ error: 'Unauthorized' })
    return
  }
  next()
}, tokenHeaders())
