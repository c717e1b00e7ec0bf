/**
 * NestJS on its Fastify adapter, with @nestjs/jwt in a guard. The guard calls the synchronous verify(), which is cheaper
 * than the verifyAsync() of Nest's guide; the secret is a KeyObject made once; the route has a response schema; Nest's
 * logger is off. Decorators are called as functions, since Node strips types and nothing more.
 */

import 'reflect-metadata'
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Module,
  Req,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { JwtModule, JwtService } from '@nestjs/jwt'
import { FastifyAdapter, type NestFastifyApplication, RouteSchema } from '@nestjs/platform-fastify'
import type { FastifyRequest } from 'fastify'
import type { Claims } from './shared/claims.ts'
import { replySchema } from './shared/fastify.ts'
import { announce } from './shared/ready.ts'
import { settings } from './shared/settings.ts'
import { bearerToken, key, tokenHeaders, verifyOptions } from './shared/tokens.ts'

class JwtGuard implements CanActivate {
  readonly #jwt: JwtService

  constructor(jwt: JwtService) {
    this.#jwt = jwt
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<FastifyRequest>()
    const token = bearerToken(request.headers.authorization)
    if (token === undefined) throw new UnauthorizedException()
    try {
      request.claims = this.#jwt.verify<Claims>(token)
    } catch {
      throw new UnauthorizedException()
    }
    return true
  }
}
Injectable()(JwtGuard)
Inject(JwtService)(JwtGuard, undefined, 0)

class MeController {
  me(request: FastifyRequest): Claims {
    return request.claims
  }
}
Controller()(MeController)
const me = Object.getOwnPropertyDescriptor(MeController.prototype, 'me') as TypedPropertyDescriptor<unknown>
Get('me')(MeController.prototype, 'me', me)
UseGuards(JwtGuard)(MeController.prototype, 'me', me)
RouteSchema(replySchema)(MeController.prototype, 'me', me)
Req()(MeController.prototype, 'me', 0)

class AppModule {}
Module({
  imports: [JwtModule.register({ secret: key, verifyOptions })],
  controllers: [MeController],
})(AppModule)

const adapter = new FastifyAdapter()
adapter.getInstance().decorateRequest('claims')
const app = await NestFactory.create<NestFastifyApplication>(AppModule, adapter, { logger: false })
await app.listen(settings.port, '127.0.0.1')
announce(tokenHeaders())
