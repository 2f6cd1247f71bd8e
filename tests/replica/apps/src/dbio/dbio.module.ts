import { Module } from '@nestjs/common';
import { DbioController } from './dbio.controller.js';
import { DbioService } from './dbio.service.js';

@Module({ controllers: [DbioController], providers: [DbioService] })
export class DbioModule {}
