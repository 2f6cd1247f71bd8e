import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ConnectTest, DbioService } from './dbio.service.js';

@Controller('dbio')
export class DbioController {
  constructor(private readonly dbio: DbioService) {}

  @Get('targets')
  targets(): { waiting: number | null } {
    return this.dbio.targets();
  }

  /** The Connect Test of the page Automation. */
  @Post('connect-test')
  @HttpCode(200)
  connectTest(): Promise<ConnectTest> {
    return this.dbio.connectTest();
  }
}
