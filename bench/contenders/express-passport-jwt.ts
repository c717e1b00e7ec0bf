/**
 * Express 5 with passport and passport-jwt (which verifies by jsonwebtoken), without sessions. The secret is a KeyObject
 * made once, which jsonwebtoken takes though passport-jwt's types do not say so. HS256, issuer and audience are checked.
 */

import passport from 'passport'
import { ExtractJwt, Strategy } from 'passport-jwt'
import { serveExpress } from './shared/express.ts'
import { key, tokenHeaders, verifyOptions } from './shared/tokens.ts'

const strategy = new Strategy(
  {
    ...verifyOptions,
    secretOrKey: key as unknown as Buffer,
    jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
  },
  (claims, done) => done(null, claims),
)
passport.use(strategy)

serveExpress(passport.authenticate('jwt', { session: false }), tokenHeaders())
