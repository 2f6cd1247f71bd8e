import { Controller, Get } from '@nestjs/common';

@Controller('health')
export class HealthController {
  /** Answers while the process serves; says nothing about LogsDB on purpose, as the product does. */
  @Get()
  health(): { status: string; service: string; uptime: number } {
    return { status: 'ok', service: 'backend', uptime: Math.round(process.uptime()) };
  }
}
