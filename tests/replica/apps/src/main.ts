/** Entry of the process `backend`: the API under /api on HOST:PORT. */
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { BackendModule } from './backend.module.js';
import { logLevels } from './config/environment.js';

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(BackendModule);
  const config = app.get(ConfigService);
  app.useLogger(logLevels(config.getOrThrow('LOG_LEVEL')));
  app.setGlobalPrefix('api');
  app.enableShutdownHooks();
  await app.listen(config.getOrThrow<number>('PORT'), config.getOrThrow<string>('HOST'));
  new Logger('Backend').log(`Backend listens on ${await app.getUrl()}`);
}

void bootstrap();
